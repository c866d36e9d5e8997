"""Seconds and peak memory of `ekle vocab` and `ekle count` by the size of the text.

    python -m benchmarks.scale --text train.txt --out docs/scale.md

Needs a text of some 90 MB and 1 GB of disk. Takes some three minutes on two cores.

The text is truncated or repeated. Each size runs in its own process, and its memory is the largest resident
set. The terabyte is a calculation, not a measurement.
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

from benchmarks.markdown import paragraph, publish
from ekle.counting.documents import MAX_ROWS

MB = 1_000_000
SIZES = ((1 * MB, 4_000), (10 * MB, 4_000), (None, 20_000), (1000 * MB, 20_000))
"""Bytes of text (None: the whole text once) and tokens to learn; a short text supports fewer."""
MACHINES = 64


@dataclass(frozen=True)
class Run:
    """The figures of one size."""

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
    publish(text, arguments.out)


def _run(source: Path, size: int | None, tokens: int) -> Run:
    with TemporaryDirectory() as place:
        file = Path(place) / "text.txt"
        fill(file, source.read_bytes(), size)
        # Otherwise lines that are repeated often are dropped.
        always = ["--corpus", str(file), "--set", "corpus.repeats=0"]
        counts, vocabulary = Path(place) / "counts.parquet", Path(place) / "vocabulary"
        counting, _ = child("count", "--out", str(counts), *always)
        seconds, peak = child("vocab", "--size", str(tokens), "--out", str(vocabulary), *always)
        rows = pl.scan_parquet(counts).select(pl.len()).collect().item()
        print(f"{file.stat().st_size:,} bytes: {seconds:.1f} s, {peak:.2f} GB", flush=True)
        return Run(file.stat().st_size, tokens, seconds, counting, peak, rows)


def fill(file: Path, text: bytes, size: int | None) -> None:
    """Write `size` bytes of whole lines of `text` to a file, truncated or repeated; None writes it once."""
    with file.open("wb") as out:
        left = len(text) if size is None else size
        while left > 0:
            part = text[:left]
            if left < len(text):
                part = part[: part.rfind(b"\n") + 1]
            out.write(part)
            left -= len(text)


def child(*words: str) -> tuple[float, float]:
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
    about = paragraph(
        f"Written by `python -m benchmarks.scale` on {os.cpu_count()} cores: `ekle vocab` with its defaults, "
        f"and `ekle count` alone, on `{name}`, truncated or repeated. Memory is the peak of the process."
    )
    repeated = paragraph(
        "Repeated text has no new pre-tokens. Real text has, so its memory grows further, up to "
        f"{MAX_ROWS:,} pre-tokens; then the rarest are dropped, and the counts say how many occurrences were "
        "lost."
    )
    terabyte = paragraph(
        f"Here `ekle count` reads {rate / MB:.0f} MB per second (the step from {step}). So 1 TB takes "
        f"{days:.1f} days on such a machine, and {24 * days / MACHINES:.1f} hours on {MACHINES} of them, "
        "each with its own part: `ekle count` writes one counts file per part, and `ekle vocab --counts` "
        "adds them up; or Ray Data distributes the parts (`ekle count --ray`). Learning follows once and "
        f"takes about {learning:.0f} seconds for a table as large as that of the last row; it grows with the "
        "different pre-tokens, not with the text."
    )
    title = "# Time and memory by the size of the text"
    rows = "\n".join(table)
    return "\n\n".join([title, about, rows, repeated, "## A terabyte, on paper", terabyte]) + "\n"


if __name__ == "__main__":
    main()
