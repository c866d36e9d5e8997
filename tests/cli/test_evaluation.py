"""What `ekle vocab` and `ekle compare` say about what changes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import ENGLISH

from ekle.artifacts import Vocabulary
from ekle.cli import main

Refused = Callable[..., None]
Words = Callable[..., list[str]]


@pytest.fixture
def english(tmp_path: Path) -> Path:
    path = tmp_path / "english.txt"
    path.write_text("\n".join([*ENGLISH, "evler and ağaçların"]), "utf-8")
    return path


@pytest.fixture
def made(tmp_path: Path, text: Path, vocab: Words, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(vocab(text, "--size", "20", "--set", "vocabulary.foreign_price=0")) == 0
    capsys.readouterr()
    return tmp_path / "out"


def test_compare_lists_what_changes_and_writes_all_of_it(
    tiny_base: Path, made: Path, english: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["compare", str(tiny_base), str(made), "--text", str(english)]
    assert main(wanted) == 0
    assert "times" not in capsys.readouterr().out
    assert main([*wanted, "--changes", "--json", str(tmp_path / "all.json")]) == 0
    shown = capsys.readouterr().out
    figures = json.loads((tmp_path / "all.json").read_text("utf-8"))[1]["texts"]["english"]
    assert figures["changes"] and f"{figures['lines']} lines change" in shown
    for change in figures["changes"][:5]:
        assert "|".join(change["after"]) in shown
    assert "changes" not in json.loads((tmp_path / "all.json").read_text("utf-8"))[0]["texts"]["english"]


def test_a_table_in_a_file_is_not_cut_at_eighty_columns(
    tiny_base: Path,
    made: Path,
    english: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # who sets it means it
    long = tmp_path / ("a-name-that-is-long-" * 5 + ".txt")
    long.write_text(english.read_text("utf-8"), "utf-8")
    assert main(["compare", str(tiny_base), str(made), "--text", str(long)]) == 0
    assert long.stem in capsys.readouterr().out


def test_vocab_says_what_changes_and_what_strictness_costs(
    tmp_path: Path, text: Path, english: Path, vocab: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--size", "8", "--protect", str(english), "--protect-strict", "--protection-cost"]
    assert main(vocab(text, *more, "--held-out", str(text), "--other", str(english))) == 0
    shown = capsys.readouterr().out
    assert "Strict protection costs" in shown and "without --protect-strict" in shown
    assert "Protection costs" in shown and "held-out text" in shown
    assert "0\u00a0% of 9 lines change\n" in shown
    report = Vocabulary(tmp_path / "out").report
    assert list(report["protected"]["costs"]) == ["strict", "all"]
    assert report["other"]["english"]["changes"] == {"different": 0, "occurrences": 0, "listed": []}


def test_strictness_about_nothing_is_refused(text: Path, vocab: Words, refused: Refused) -> None:
    refused(vocab(text, "--size", "8", "--protect-strict"), "--protect", "none is named")
