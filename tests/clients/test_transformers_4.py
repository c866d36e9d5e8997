"""Folders that ekle writes, also of a base that transformers 5 has saved, load in transformers 4.57."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from project import ROOT
from tiny import NEW_TOKENS, TURKISH, write_vocabulary
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.extension.extend import extend_model
from ekle.files import read_json, write_json
from ekle.progress import silent
from ekle.recipe.extension import ExtensionSettings

pytestmark = pytest.mark.slow(seconds=15)  # each opens a program with torch

ENVIRONMENT = ROOT / ".clients" / "transformers-4.57"
PYTHON = ENVIRONMENT / "bin" / "python"
PROGRAM = """
import json, sys
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, with_model, text = sys.argv[1], sys.argv[2] == "model", sys.argv[3]
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = tokenizer(text)["input_ids"]
said = {
    "version": transformers.__version__,
    "length": len(tokenizer),
    "ids": ids,
    "specials": sorted(tokenizer.all_special_tokens),
    "end": tokenizer.eos_token_id,
    "chat": tokenizer.apply_chat_template([{"role": "user", "content": "Merhaba"}], tokenize=False),
}
if with_model:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    said["rows"] = model.config.vocab_size
    said["ends"] = model.generation_config.eos_token_id
    with torch.no_grad():
        said["logits"] = model(torch.tensor([ids])).logits[0, -1].tolist()
print(json.dumps(said))
"""


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A base as transformers 5 saves it, with a rotary base that is not the default."""
    source = Path(shutil.copytree(tiny_base, tmp_path / "source"))
    config = read_json(source / "config.json")
    config.pop("rope_parameters", None)
    write_json(source / "config.json", {**config, "rope_theta": 1_000_000.0})
    tokenizer = AutoTokenizer.from_pretrained(source, extra_special_tokens=["<|im_start|>", "<|im_end|>"])
    folder = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(source).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert isinstance(read_json(folder / "tokenizer_config.json")["extra_special_tokens"], list)
    assert "rope_theta" not in read_json(folder / "config.json")
    return folder


def in_transformers_4(folder: Path, *, model: bool) -> Any:
    if not (ENVIRONMENT / ".installed").exists():
        pytest.skip("transformers 4.57 is not here; `make clients` installs it")
    words = [str(PYTHON), "-c", PROGRAM, str(folder), "model" if model else "tokenizer", TURKISH[0]]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["version"].startswith("4.57")
    return said


def check_tokenizer(said: Any, folder: Path) -> None:
    here = AutoTokenizer.from_pretrained(folder)
    assert said["ids"] == here(TURKISH[0])["input_ids"]
    assert said["length"] == len(here)
    assert said["end"] == here.eos_token_id
    assert said["specials"] == sorted(here.all_special_tokens)
    chat = here.apply_chat_template([{"role": "user", "content": "Merhaba"}], tokenize=False)
    assert said["chat"] == chat


@pytest.mark.parametrize("multiple", [1, 64])
def test_an_extended_model_loads_and_gives_the_same_logits(multiple: int, base: Path, tmp_path: Path) -> None:
    vocabulary = write_vocabulary(tmp_path / "vocabulary", base)
    settings = ExtensionSettings(init="subword", gradient_tokens=0, pad_to=multiple)
    model = extend_model(vocabulary.folder, base, tmp_path / "out", settings, silent()).model
    said = in_transformers_4(model, model=True)
    check_tokenizer(said, model)
    here = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = here(torch.tensor([said["ids"]])).logits[0, -1]
    torch.testing.assert_close(torch.tensor(said["logits"]), logits, rtol=1e-4, atol=1e-4)
    assert said["rows"] == said["length"] == here.config.vocab_size
    assert said["ends"] == here.generation_config.eos_token_id


def test_a_vocabulary_loads(base: Path, tmp_path: Path) -> None:
    vocabulary = write_vocabulary(tmp_path / "vocabulary", base)
    said = in_transformers_4(vocabulary.tokenizer, model=False)
    check_tokenizer(said, vocabulary.tokenizer)
    assert any(number >= said["length"] - NEW_TOKENS for number in said["ids"])
