"""What the tests of the command line share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import TURKISH

from ekle.cli import main


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Turkish text that supports a few dozen tokens."""
    path = tmp_path / "text.txt"
    path.write_text("\n".join(TURKISH * 20), encoding="utf-8")
    return path


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Assert that a command ends with code 2 and one line on stderr that holds all the words given."""

    def check(arguments: list[str], *words: str) -> None:
        assert main(arguments) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("ekle: ")
        for word in words:
            assert word in lines[0]

    return check


@pytest.fixture
def vocab(tiny_base: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of an `ekle vocab` that learns from a text alone, without built-in tables and lists."""

    def words(text: Path, *more: str, base: Path = tiny_base) -> list[str]:
        settings = ["vocabulary.min_count=2", "vocabulary.languages={}", "corpus.word_lists=[]"]
        arguments = ["vocab", "--corpus", str(text), "--base", str(base), "--out", str(tmp_path / "out")]
        return [*arguments, *(word for s in settings for word in ("--set", s)), *(more or ("--size", "12"))]

    return words
