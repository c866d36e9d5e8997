"""A base made from a GGUF file, whose tokenizer names the rows without a token: [PAD403] and so on."""

import json
import shutil
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import BASE_ROWS, BPE_IDS, HOLE, NEW_TOKENS, TURKISH, write_vocabulary
from transformers import AutoTokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import load_base
from ekle.errors import InputError
from ekle.extension.extend import extend_model
from ekle.files import read_json
from ekle.progress import silent
from ekle.recipe.extension import ExtensionSettings

Place = Literal["vocabulary", "added", "both"]
PADDING = range(BASE_ROWS - HOLE, BASE_ROWS)


@pytest.fixture(params=["vocabulary", "added", "both"])
def padded(request: pytest.FixtureRequest, tiny_base: Path, tmp_path: Path) -> Path:
    """The base with named padding, whose rows are far larger than those that were trained."""
    place: Place = request.param
    folder = Path(shutil.copytree(tiny_base, tmp_path / "padded"))
    spec = read_json(folder / "tokenizer.json")
    for number in PADDING:
        if place != "added":
            spec["model"]["vocab"][f"[PAD{number}]"] = number
        if place != "vocabulary":
            entry = {**spec["added_tokens"][0], "id": number, "content": f"[PAD{number}]", "special": False}
            spec["added_tokens"].append(entry)
    (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
    tensors = load_file(folder / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name][PADDING.start :] = 1e4
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def rows_without_padding(padded: Path, vocabulary: Vocabulary, out: Path) -> None:
    """Extend by the mean of all rows, and see that the padding was left out of it."""
    settings = ExtensionSettings(init="mean", gradient_tokens=0)
    model = extend_model(vocabulary.folder, padded, out, settings, silent()).model
    rows = load_file(model / "model.safetensors")["model.embed_tokens.weight"]
    assert len(rows) == BASE_ROWS + NEW_TOKENS
    torch.testing.assert_close(rows[-1], rows[: PADDING.start].mean(dim=0))
    assert bool((rows[PADDING.start : BASE_ROWS] == 1e4).all())
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert len(tokenizer) == len(rows) == max(tokenizer.get_vocab().values()) + 1
    assert any(number >= BASE_ROWS for number in tokenizer(TURKISH[0])["input_ids"])


def test_a_vocabulary_learned_on_such_a_base_moves_no_id_and_leaves_its_padding_out(
    padded: Path, tmp_path: Path
) -> None:
    vocabulary = write_vocabulary(tmp_path / "vocabulary", padded)
    spec = read_json(vocabulary.tokenizer / "tokenizer.json")
    assert all(spec["model"]["vocab"][f"[PAD{number}]"] == number for number in PADDING)
    assert min(token.id for token in vocabulary.tokens()) == BASE_ROWS
    rows_without_padding(padded, vocabulary, tmp_path / "out")


def test_a_vocabulary_learned_on_the_original_fits_such_a_base(
    padded: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    rows_without_padding(padded, tiny_vocabulary, tmp_path / "out")


def test_padding_has_no_bytes(padded: Path) -> None:
    found = load_base(str(padded)).token_bytes
    assert len(found) == BASE_ROWS and not any(found[number] for number in PADDING)
    assert all(found[number] for number in range(BPE_IDS))


def test_a_name_of_another_row_is_no_padding(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_base, tmp_path / "named"))
    spec = read_json(folder / "tokenizer.json")
    spec["model"]["vocab"]["[PAD7]"] = PADDING.start
    (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
    with pytest.raises(
        InputError, match=r"'\[PAD7\]' the id 403, .* learn the vocabulary with ekle vocab --base"
    ):
        extend_model(
            tiny_vocabulary.folder, folder, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
        )
