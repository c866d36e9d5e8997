"""Time and memory of `ekle vocab` against the size of the text.

    python -m benchmarks.scale --text train.txt --out docs/scale.md

The text is cut short or repeated; each size runs in a process of its own, whose peak memory is the largest
resident set that the system saw. The row of a terabyte is a calculation, not a measurement.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from ekle.counting.documents import MAX_ROWS

MB = 1_000_000
SIZES = ((1 * MB, 4_000), (10 * MB, 4_000), (None, 20_000), (1000 * MB, 20_000))
"""Bytes of text, None for the text as it is, and tokens to learn; a short text supports fewer."""
MACHINES = 64


@dataclass(frozen=True)
class Run:
    """What one size took."""

    bytes: int
    tokens: int
    seconds: float
    counting: float
    """Seconds of `ekle count` alone."""
    gigabytes: float
    rows: int
    """Different pre-tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    arguments = parser.parse_args()
    runs = [_run(arguments.text, *size) for size in SIZES]
    text = _page(runs, arguments.text.name)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def _run(source: Path, size: int | None, tokens: int) -> Run:
    with TemporaryDirectory() as place:
        file = Path(place) / "text.txt"
        _fill(file, source.read_bytes(), size)
        # Repeated text would be left out as repeated.
        always = ["--corpus", str(file), "--set", "corpus.repeats=0"]
        counts, vocabulary = Path(place) / "counts.parquet", Path(place) / "vocabulary"
        counting, _ = _child("count", "--out", str(counts), *always)
        seconds, peak = _child("vocab", "--size", str(tokens), "--out", str(vocabulary), *always)
        rows = pl.scan_parquet(counts).select(pl.len()).collect().item()
        print(f"{file.stat().st_size:,} bytes: {seconds:.1f} s, {peak:.2f} GB", flush=True)
        return Run(file.stat().st_size, tokens, seconds, counting, peak, rows)


def _fill(file: Path, text: bytes, size: int | None) -> None:
    with file.open("wb") as out:
        left = len(text) if size is None else size
        while left > 0:
            part = text[:left]
            if left < len(text):
                part = part[: part.rfind(b"\n") + 1]
            out.write(part)
            left -= len(text)


def _child(*words: str) -> tuple[float, float]:
    """Seconds and peak memory in GB of `ekle` with `words`."""
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "ekle", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"ekle {' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started, usage.ru_maxrss * 1024 / 1e9


def _page(runs: list[Run], name: str) -> str:
    table = [
        "| text | new tokens | vocab, seconds | count alone, seconds | memory, GB | different pre-tokens |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for run in runs:
        cells = [f"{run.bytes / MB:,.0f} MB", f"{run.tokens:,}", f"{run.seconds:.1f}", f"{run.counting:.1f}"]
        table.append("| " + " | ".join([*cells, f"{run.gigabytes:.2f}", f"{run.rows:,}"]) + " |")
    *_, smaller, larger = runs
    step = f"{smaller.bytes / MB:,.0f} to {larger.bytes / MB:,.0f} MB"
    rate = (larger.bytes - smaller.bytes) / (larger.counting - smaller.counting)
    days = 1e12 / rate / 86_400
    learning = larger.seconds - larger.counting
    about = (
        f"Written by `python -m benchmarks.scale` on {os.cpu_count()} cores: `ekle vocab` with its defaults, "
        f"and `ekle count` alone, on `{name}` cut short or repeated. Memory is the peak of the process."
    )
    repeated = (
        "Repeated text has no new pre-tokens; real text has, so memory grows further, up to "
        f"{MAX_ROWS:,} of them; then the rarest are forgotten, and the counts say how many occurrences that "
        "took away."
    )
    terabyte = (
        f"Counting goes at {rate / MB:.0f} MB a second here (the step from {step}), so 1 TB takes {days:.1f} "
        f"days on such a machine, and {24 * days / MACHINES:.1f} hours on {MACHINES} of them, each with its "
        "own part: `ekle count` writes a counts file a part, and `ekle vocab --counts` adds them up; or Ray "
        f"Data shares the parts out (`ekle count --ray`). Learning follows once, in about {learning:.0f} "
        "seconds for a table as large as that of the last row; it grows with the different pre-tokens, not "
        "with the text."
    )
    title = "# Time and memory against the size of the text"
    rows = "\n".join(table)
    return "\n\n".join([title, about, rows, repeated, "## A terabyte, on paper", terabyte]) + "\n"


if __name__ == "__main__":
    main()
