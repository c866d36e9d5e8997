"""How text is read can be said wherever text can be named, and what a message tells to do works there."""

import json
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
from tiny import TURKISH

from ekle.artifacts import Vocabulary
from ekle.cli import main

Refused = Callable[..., None]
FIELD = ("--set", "corpus.text_field=content")
CURE = "--set corpus.text_field=NAME"


@pytest.fixture
def content(tmp_path: Path) -> str:
    """Turkish text in the field `content` of JSON lines, after a byte order mark."""
    path = tmp_path / "content.jsonl"
    rows = "".join(json.dumps({"content": line}) + "\n" for line in TURKISH * 20)
    path.write_bytes(b"\xef\xbb\xbf" + rows.encode())
    return str(path)


@pytest.mark.parametrize("option", ["--corpus", "--held-out", "--other", "--protect", "--keep"])
def test_vocab_reads_each_of_its_texts_with_the_field(
    vocab: Callable[..., list[str]], tmp_path: Path, refused: Refused, content: str, option: str
) -> None:
    (tmp_path / "corpus.jsonl").write_text(Path(content).read_text("utf-8-sig"), "utf-8")
    if option == "--keep":
        Path(content).write_text('{"content": "gidiyorlar"}\n', "utf-8")
    (tmp_path / "text.txt").write_text("\n".join(TURKISH * 20), "utf-8")
    more = () if option == "--corpus" else (option, content, "--set", "vocabulary.foreign_price=0")
    first = Path(content) if option == "--corpus" else tmp_path / "text.txt"
    refused(vocab(first, "--size", "12", *more), "no text in 'text'", CURE)
    first = Path(content) if option == "--corpus" else tmp_path / "corpus.jsonl"
    assert main(vocab(first, "--size", "12", *more, *FIELD)) == 0


def test_compare_reads_text_with_the_field(tiny_base: Path, refused: Refused, content: str) -> None:
    words = ["compare", str(tiny_base), "--text", content]
    refused(words, "no text in 'text'", CURE)
    assert main([*words, *FIELD]) == 0
    refused([*words, "--set", "corpus.sources=[]"], "its settings are corpus.text_field and")
    refused(["compare", str(tiny_base), *FIELD], "--text FILE")


@pytest.mark.parametrize("option", ["--held-out", "--other", "--corpus"])
def test_evaluate_reads_each_of_its_texts_with_the_field(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, refused: Refused, content: str, option: str
) -> None:
    words = [
        "evaluate",
        str(tiny_vocabulary.folder),
        "--against",
        str(tiny_base),
        "--out",
        str(tmp_path / "out"),
    ]
    held_out = tmp_path / "held-out.csv"
    held_out.write_text("content,text\n" + "\n".join(f'"{line}","{line}"' for line in TURKISH), "utf-8")
    more = [option, content] if option == "--held-out" else ["--held-out", str(held_out), option, content]
    refused([*words, *more], "no text in 'text'", CURE)
    assert main([*words, *more, *FIELD]) == 0


def test_extend_reads_its_corpus_with_the_field(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, refused: Refused, content: str
) -> None:
    words = ["extend", "--vocab", str(tiny_vocabulary.folder), "--base", str(tiny_base), "--init", "focus"]
    words += ["--out", str(tmp_path / "out"), "--corpus", content]
    refused(words, "no text in 'text'", CURE)
    assert main([*words, *FIELD]) == 0


def test_mis_decoded_words_are_not_counted_unless_asked_for(
    tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("Güzel bir gün.\nÅŸehirde Yarýn okul çýkýþýnda\n", "utf-8")

    def counted(*more: str) -> set[str]:
        words = ["count", "--corpus", str(tmp_path / "text.txt"), "--base", str(tiny_base)]
        assert main([*words, "--out", str(tmp_path / "counts.parquet"), *more]) == 0
        return {text.strip() for text in polars.read_parquet(tmp_path / "counts.parquet")["text"]}

    assert counted() == {"Güzel", "bir", "gün", "."}
    assert "decoded in a wrong way, such as 'ÅŸehirde' for 'şehirde'" in capsys.readouterr().out
    assert {"Yarýn", "çýkýþýnda"} < counted("--set", "corpus.keep_misdecoded=true")


def test_a_recipe_may_begin_with_a_byte_order_mark(tmp_path: Path, refused: Refused) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_bytes(b'\xef\xbb\xbfname = "r"\n[corpus]\nsources = ["absent.txt"]\n')
    refused(["run", str(recipe), "--runs", str(tmp_path)], "absent.txt")
    recipe.write_text("name = " + "[" * 100_000, "utf-8")
    refused(["run", str(recipe), "--runs", str(tmp_path)], "r.toml is nested too deep")
