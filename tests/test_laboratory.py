"""The laboratory of `benchmarks/adaptation` runs from text to page, and goes on where it was stopped."""

import os
import subprocess
import sys
from pathlib import Path

from project import ROOT


def laboratory(data: Path, work: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = ["--data", str(data), "--out", str(out), "--size", "smoke", "--work", str(work), "--seeds", "1"]
    words += ["--processes", "1", "--arms", "distilled, rate x 2", "subword, aligned, rate x 2"]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.adaptation", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_writes_a_page_with_both_bases_and_their_arms_and_does_nothing_twice(
    plain_text: Path, tmp_path: Path
) -> None:
    done = laboratory(plain_text, tmp_path / "work", tmp_path / "page.md")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text("utf-8")
    first = [row.split(" | ")[0] for row in rows_of(tmp_path / "page.md")]
    assert first.count("| unchanged tokenizer, rate x 2") == first.count("| distilled, rate x 2") == 2
    assert first.count("| subword, aligned, rate x 2") == 1  # over the base that knows Turkish alone
    assert "Not there yet" not in page
    assert str(tmp_path) not in page
    assert "page.svg" in page
    assert (tmp_path / "page.svg").read_text("utf-8").count("<polyline") >= 4
    lost = next((tmp_path / "work").rglob("distilled-rate-x-2-0.json"))
    lost.unlink()
    again = laboratory(plain_text, tmp_path / "work", tmp_path / "again.md")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("distilled, rate x 2, seed 0") == 1
    assert "aligned" not in again.stdout
    assert rows_of(tmp_path / "again.md") == rows_of(tmp_path / "page.md")


def rows_of(page: Path) -> list[str]:
    """Its tables, but for seconds and seeds."""
    lines = page.read_text("utf-8").splitlines()
    return [line.rsplit("|", 3)[0] for line in lines if line.startswith("|")]
