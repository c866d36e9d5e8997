"""Tokenizers that people have: truncation and padding set, damaged, of another kind; by the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import ekle
from ekle.artifacts import Vocabulary
from ekle.cli import main
from ekle.files import read_json

Refused = Callable[..., None]


@pytest.fixture
def cut(tiny_base: Path, tmp_path: Path) -> Path:
    """The base's tokenizer, with truncation to eight tokens and padding to the longest."""
    folder = Path(shutil.copytree(tiny_base, tmp_path / "cut"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_compare_measures_all_of_a_text(
    cut: Path, tiny_base: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tiny_base), str(cut), "--text", str(text), "--changes"]) == 0
    assert capsys.readouterr().out
    found = ekle.compare({"base": tiny_base, "cut": cut}, text)[1].texts["text"]
    assert found.tokens_saved is not None and found.tokens_saved.value == 0
    assert found.lines_changed is not None and found.lines_changed.value == 0


def test_a_vocabulary_learned_from_such_a_base_has_neither(
    cut: Path, text: Path, vocab: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert main(vocab(text, base=cut)) == 0
    spec = read_json(tmp_path / "out" / "tokenizer" / "tokenizer.json")
    assert spec["truncation"] is None and spec["padding"] is None


def test_a_damaged_tokenizer_is_refused_by_every_command_that_opens_one(
    cut: Path,
    tiny_base: Path,
    text: Path,
    tiny_vocabulary: Vocabulary,
    vocab: Callable[..., list[str]],
    refused: Refused,
    tmp_path: Path,
) -> None:
    spec = read_json(cut / "tokenizer.json")
    spec["model"]["merges"].append(["Q", "Q"])
    (cut / "tokenizer.json").write_text(json.dumps(spec), "utf-8")
    words = "QQ"
    refused(vocab(text, base=cut), words)
    refused(["count", "--corpus", str(text), "--base", str(cut), "--out", str(tmp_path / "c.parquet")], words)
    refused(["compare", str(tiny_base), str(cut), "--text", str(text)], "QQ")
    extend = ["extend", "--vocab", str(tiny_vocabulary.folder), "--base", str(cut), "--init", "subword"]
    refused([*extend, "--out", str(tmp_path / "extended")], words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "text.txt"]
