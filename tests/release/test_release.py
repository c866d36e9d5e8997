"""What is released loads in a process of its own, with the weights that training left."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from partial_report import report_of
from safetensors.torch import load_file
from transformers import Qwen3ForCausalLM

from ekle.artifacts import BaseModel, Checkpoint, ExtendedModel, Scorecard
from ekle.bpe.chat_templates import read_templates, write_templates
from ekle.errors import InputError, NotAvailableError
from ekle.files import write_json
from ekle.model.checkpoint.adapter import save_adapter
from ekle.model.layers.dora import attach
from ekle.model.layers.new_rows import split_rows
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.recipe.release import ExportFormat, ReleaseSettings
from ekle.recipe.training import DoraSettings
from ekle.release.export import export
from ekle.release.stage import Inputs, run

LOAD = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer("Evlerimizden birinde", return_tensors="pt")
out = model.generate(**ids, max_new_tokens=4, do_sample=False)
print(len(tokenizer), model.config.vocab_size, out.shape[1] - ids["input_ids"].shape[1])
"""


@pytest.fixture
def checkpoint(tiny_extended: ExtendedModel, tmp_path: Path) -> Checkpoint:
    model = Qwen3ForCausalLM.from_pretrained(tiny_extended.model)
    rows = split_rows(model, tiny_extended.first_new_id)
    attach(model, DoraSettings(rank=2, alpha=2.0))
    with torch.no_grad():
        rows.input.fill_(0.5)
    folder = tmp_path / "training"
    folder.mkdir()
    save_adapter(model, folder / "adapter")
    rows.save(folder / "new_rows.safetensors")
    return Checkpoint(folder)


@pytest.mark.parametrize("tied", [False, True])
def test_a_release_loads_in_a_fresh_process_and_generates(
    tiny_base_model: BaseModel, tiny_extended: ExtendedModel, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    extended = ExtendedModel(tmp_path / "extension")
    extended.folder.mkdir()
    extended.model.symlink_to(tiny_extended.model)
    write_json(extended.folder / "extension.json", {"first_new_id": 410, "size": 20, "rows": 430})
    scores = tmp_path / "evaluation"
    report_of({}).write(scores / "report.json")
    (tmp_path / "release").mkdir()
    recipe = make_recipe({"name": "t"})
    inputs = Inputs(tiny_base_model, extended, checkpoint, Scorecard(scores))
    release = run(recipe, inputs, tmp_path / "release", silent())
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(release.model)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    length, rows, generated = map(int, done.stdout.split())
    assert (length, rows) == (430, 430)
    assert 1 <= generated <= 4
    tensors = load_file(release.model / "model.safetensors")
    assert torch.equal(tensors["model.embed_tokens.weight"][410:], torch.full((20, 32), 0.5))
    before = load_file(tiny_extended.model / "model.safetensors")
    assert torch.equal(tensors["model.embed_tokens.weight"][:410], before["model.embed_tokens.weight"][:410])
    card = (release.model / "README.md").read_text("utf-8")
    assert "20 Turkish tokens (ids 410 to 429)" in card


def test_an_extended_model_can_be_exported(tiny_extended: ExtendedModel, tmp_path: Path) -> None:
    out = export(tiny_extended.folder, tmp_path / "out", ReleaseSettings(), silent())
    before = load_file(tiny_extended.model / "model.safetensors")
    after = load_file(out / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_templates_in_a_folder_of_their_own_are_exported_too(
    tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_extended.folder, tmp_path / "extended"))
    write_templates(folder / "model", {"tool_use": "call {{ messages }}"})
    out = export(folder, tmp_path / "out", ReleaseSettings(), silent())
    assert read_templates(out) == read_templates(folder / "model")


def test_a_folder_without_a_model_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run, extended model or release"):
        export(tmp_path, tmp_path / "out", ReleaseSettings(), silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["gguf", "int8", "int4"])
def test_a_format_that_is_not_built_yet_is_refused(format: ExportFormat, tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match=f"--format {format} is not built yet; hf is"):
        export(tmp_path, tmp_path / "out", ReleaseSettings(), silent(), format)
    assert not (tmp_path / "out").exists()
