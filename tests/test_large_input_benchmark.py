"""The benchmark of large input, on very little: it keeps what it has measured, and fails above its limit."""

import sys
from pathlib import Path

import pytest

from benchmarks import large_input


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["large_input", *words])
    large_input.main()


@pytest.mark.slow(seconds=20)
def test_each_case_is_made_counted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ["--work", str(tmp_path / "work"), "--bytes", "100000", "--files", "30"]
    # A process starts with the peak of the one that forks it, which is large here.
    run(monkeypatch, *small, "--limit", "1000", "--out", str(tmp_path / "page.md"))
    page = (tmp_path / "page.md").read_text("utf-8")
    assert "| one file | 0.1 | 1 |" in page
    assert "| 30 files |" in page and "| a path of 200 letters |" in page
    monkeypatch.setattr(large_input, "child", None)  # nothing is counted again
    with pytest.raises(SystemExit, match="GB, more than"):
        run(monkeypatch, *small, "--limit", "0.001")


def test_the_long_path_has_as_many_letters_as_it_says(tmp_path: Path) -> None:
    large_input.make_long_path(tmp_path / "path", b"metin\n")
    (file,) = (tmp_path / "path").rglob("*.txt")
    assert file.read_bytes() == b"metin\n"
    letters = "".join(file.relative_to(tmp_path / "path").parent.parts)
    assert large_input.PATH_LETTERS - 5 <= len(letters) <= large_input.PATH_LETTERS
    assert {"ş", "ğ", "ı", " "} <= set(letters)
