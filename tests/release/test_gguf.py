"""What is said about GGUF until ekle writes it: which pre-tokenizer llama.cpp has to be told, and how."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from partial_report import report_of

from ekle.artifacts import ExtendedModel
from ekle.bpe.base import load_base
from ekle.bpe.graft import graft
from ekle.bpe.pre_tokenizers import (
    apostrophe_pre_tokenizer,
    gguf_pre_tokenizer,
    how_to_make_gguf,
    joined_pre_tokenizer,
)
from ekle.errors import NotAvailableError
from ekle.files import read_json, write_json
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.recipe.release import ReleaseSettings
from ekle.release.card import Origin, model_card
from ekle.release.export import export

SET = "tokenizer.ggml.pre=ufakzeka"


def portable(base: Path) -> dict[str, Any]:
    """The tokenizer.json of the portable profile."""
    opened = load_base(str(base))
    return graft(opened, [], apostrophe_pre_tokenizer(opened))[0]


def test_the_name_of_the_pre_tokenizer_follows_from_its_pattern(tiny_base: Path) -> None:
    base = load_base(str(tiny_base))
    assert gguf_pre_tokenizer(base.spec) == "qwen2"
    assert gguf_pre_tokenizer(portable(tiny_base)) == "ufakzeka"
    compact = joined_pre_tokenizer(base, ["bir"], ["ve"])
    assert gguf_pre_tokenizer({**base.spec, "pre_tokenizer": compact}) is None
    stages = base.spec["pre_tokenizer"]["pretokenizers"]
    morphological = {"type": "Sequence", "pretokenizers": [stages[0], *stages]}
    assert gguf_pre_tokenizer({**base.spec, "pre_tokenizer": morphological}) is None
    for other in (None, {"type": "ByteLevel"}):
        assert gguf_pre_tokenizer({**base.spec, "pre_tokenizer": other}) is None


def test_export_says_it_for_the_tokenizer_of_the_model(tiny_extended: ExtendedModel, tmp_path: Path) -> None:
    for spec, words in (
        (portable(tiny_extended.model), SET),
        (read_json(tiny_extended.model / "tokenizer.json"), "tokenizer.ggml.pre=qwen2"),
    ):
        folder = tmp_path / words
        folder.mkdir()
        (folder / "config.json").write_bytes((tiny_extended.model / "config.json").read_bytes())
        write_json(folder / "tokenizer.json", spec)
        with pytest.raises(NotAvailableError, match=words):
            export(folder, tmp_path / "out", ReleaseSettings(), silent(), "gguf")


def test_the_card_says_it(tiny_base: Path) -> None:
    about = {"first_new_id": 410, "size": 20, "rows": 448}
    told = how_to_make_gguf(portable(tiny_base))
    card = model_card(make_recipe({"name": "t"}), about, report_of({}), Origin("b", "qwen3", None), told)
    assert SET in card
    assert "ids 410 to 429" in card, "padding rows have no Turkish token"


def test_the_command_that_is_named_sets_it(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not here; pip install gguf")
    from gguf.scripts.gguf_new_metadata import main

    writer = gguf.GGUFWriter(tmp_path / "IN.gguf", "qwen3")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(["a", "b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = re.search(r"gguf-new-metadata ([\w. -]+ufakzeka)", how_to_make_gguf(portable(tiny_base)))
    assert found
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gguf-new-metadata", *found.group(1).split()])
    main()
    field = gguf.GGUFReader(tmp_path / "OUT.gguf").fields["tokenizer.ggml.pre"]
    assert field.contents() == "ufakzeka"
