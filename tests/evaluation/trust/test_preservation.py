"""What was extended is checked against the digests of its making, and every difference is named."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.cli import main
from ekle.evaluation.run import evaluate_folder
from ekle.evaluation.trust.preservation import extension_record, verify_preserved
from ekle.extension.extend import extend_model
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.extension import ExtensionSettings

pytestmark = pytest.mark.usefixtures("lexicon")
both = pytest.mark.parametrize("tied", [False, True])


@pytest.fixture
def made(tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> ExtendedModel:
    return extend_model(
        tiny_vocabulary.folder, tiny_base, tmp_path / "made", ExtensionSettings(init="hybrid"), silent()
    )


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Path]:
    path = tmp_path / "metin.txt"
    path.write_text("Kediler bahçedeki ağaçların altında oturuyorlardı.\n", "utf-8")
    return {"metin": path}


def change(folder: Path, name: str, place: int = 0) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[name].view(-1).view(torch.int32)[place] ^= 1  # one bit
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@both
def test_an_extended_model_is_its_base_byte_for_byte(
    tied: bool, tiny_base: Path, made: ExtendedModel, texts: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    settings = EvaluationSettings(context=32, prompts=[], samples=0, resamples=20)
    figures = evaluate_folder(made.model, tiny_base, texts, settings, out, silent()).report.dump()
    tensors = len(load_file(tiny_base / "model.safetensors"))
    assert figures["preservation"] == {"tensors": tensors, "rows": 410, "changed": [], "base_changed": []}
    assert any("byte for byte" in sentence["text"] for sentence in figures["verdict"])


@both
def test_one_bit_that_differs_is_found(tied: bool, tiny_base: Path, made: ExtendedModel) -> None:
    record = extension_record(made.model)
    assert record is not None
    change(made.model, "model.layers.1.mlp.up_proj.weight", 77)
    change(made.model, "model.embed_tokens.weight", 410 * 32 - 1)
    found = verify_preserved(record, tiny_base, silent())
    assert found.changed == ["model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight"]
    assert found.base_changed == []


def test_new_rows_may_change(tiny_base: Path, made: ExtendedModel) -> None:
    change(made.model, "model.embed_tokens.weight", 410 * 32)
    record = extension_record(made.model)
    assert record is not None
    assert verify_preserved(record, tiny_base, silent()).changed == []


def test_another_base_is_named_as_such(
    tiny_base: Path, made: ExtendedModel, texts: dict[str, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_base, other)
    change(other, "model.norm.weight")
    settings = EvaluationSettings(context=32, prompts=[], samples=0, resamples=20)
    figures = evaluate_folder(made.model, other, texts, settings, tmp_path / "out", silent()).report.dump()
    assert figures["preservation"]["base_changed"] == ["model.norm.weight"]
    assert any("not the one" in sentence["text"] for sentence in figures["verdict"])


def test_against_a_tokenizer_alone_the_bytes_are_checked_against_the_record(
    made: ExtendedModel, tiny_base: Path, texts: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    shutil.copyfile(tiny_base / "tokenizer.json", tokenizer / "tokenizer.json")
    change(made.model, "model.norm.weight")
    settings = EvaluationSettings(context=32, prompts=[], resamples=20)
    scores = evaluate_folder(made.model, tokenizer, texts, settings, tmp_path / "out", silent())
    found = scores.report.preservation
    assert found.changed == ["model.norm.weight"] and found.base_changed is None
    assert any("has changed since it was written" in sentence.text for sentence in scores.report.verdict)
    page = (scores.folder / "report.html").read_text("utf-8")
    assert "differ from the record of the extension: model.norm.weight" in page
    change(made.model, "model.norm.weight")
    again = evaluate_folder(made.model, tokenizer, texts, settings, tmp_path / "again", silent())
    assert again.report.preservation.changed == []
    assert "have the bytes that the base had" in (again.folder / "report.html").read_text("utf-8")


def test_a_folder_without_a_record_is_not_checked(tiny_base: Path, made: ExtendedModel) -> None:
    assert extension_record(tiny_base) is None
    (made.folder / "extension.json").unlink()
    assert extension_record(made.model) is None


def test_the_command_says_so(
    tiny_base: Path,
    made: ExtendedModel,
    texts: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["evaluate", str(made.folder), "--against", str(tiny_base), "--out", str(tmp_path / "out")]
    assert main([*words, "--text", str(texts["metin"]), "--set", "evaluation.prompts=[]"]) == 0
    assert "byte for byte" in " ".join(capsys.readouterr().out.split())
    change(made.model, "model.norm.weight")
    words[-1] = str(tmp_path / "again")
    assert main([*words, "--text", str(texts["metin"]), "--set", "evaluation.prompts=[]"]) == 0
    assert "differ in model.norm.weight" in " ".join(capsys.readouterr().out.split())
