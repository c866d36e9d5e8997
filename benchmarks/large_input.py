"""Seconds and peak memory of `ekle count` on a large file, on many small files, and on a long path.

    python -m benchmarks.large_input --work DIR --bytes 5000000000 --files 100000 --out large-input.md

Needs as much disk as the file has bytes, in DIR. What is made and measured is kept there, so the same command
goes on after an interruption. The file is made by repetition, from `--text` or from the text that ekle brings
along. `--limit` is the memory in GB that no case may take; the command fails where one does.

Repeated lines are counted as often as they occur (`corpus.repeats = 0`), or nearly nothing would be counted.
Each case runs in a process of its own, and its memory is the largest resident set.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import cycle, islice
from pathlib import Path

from benchmarks.markdown import paragraph, publish
from benchmarks.scale import MB, child, fill
from ekle.files import atomic_file, atomic_folder, write_json

LINES_PER_FILE = 5
FILES_PER_FOLDER = 1000
PATH_LETTERS = 200
_NAME = "çok güzel şiirler ığdır'da öğle üstü "  # of the folders of the long path
_PART = 90  # letters per folder: a name has at most 255 bytes, and ş has two


@dataclass(frozen=True)
class Case:
    """The figures of one input."""

    input: str
    bytes: int
    files: int
    seconds: float
    gigabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder for the input and the figures")
    parser.add_argument("--text", type=Path, help="the text to repeat; ekle's own if not given")
    parser.add_argument("--bytes", type=int, default=5_000 * MB, help="size of the large file")
    parser.add_argument("--files", type=int, default=100_000, help="number of small files")
    parser.add_argument("--limit", type=float, default=1.5, help="GB of memory that no case may take")
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    arguments = parser.parse_args()
    text = _text(arguments.text)
    inputs: dict[str, tuple[str, Callable[[Path], None]]] = {
        f"file-{arguments.bytes}": ("one file", lambda path: fill(path, text, arguments.bytes)),
        f"folder-{arguments.files}": (
            f"{arguments.files:,} files",
            lambda path: make_folder(path, text, arguments.files),
        ),
        "path": (f"a path of {PATH_LETTERS} letters", lambda path: make_long_path(path, text)),
    }
    cases = [_case(arguments.work, name, label, make) for name, (label, make) in inputs.items()]
    source = arguments.text.name if arguments.text else "the text that ekle brings along"
    publish(_page(cases, source), arguments.out)
    if over := [case for case in cases if case.gigabytes > arguments.limit]:
        sys.exit(f"{over[0].input} took {over[0].gigabytes:.2f} GB, more than {arguments.limit:g}")


def make_folder(folder: Path, text: bytes, files: int) -> None:
    """Write `files` files of a few lines each, by the thousand in folders of their own."""
    lines = cycle(text.splitlines(keepends=True))
    with atomic_folder(folder) as made:
        for number in range(files):
            path = made / f"{number // FILES_PER_FOLDER:04}" / f"{number:06}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"".join(islice(lines, LINES_PER_FILE)))


def make_long_path(folder: Path, text: bytes) -> None:
    """Write `text` once, below folders with `PATH_LETTERS` Turkish letters and spaces in their names."""
    letters = "".join(islice(cycle(_NAME), PATH_LETTERS))
    parts = [letters[start : start + _PART].strip() for start in range(0, PATH_LETTERS, _PART)]
    with atomic_folder(folder) as made:
        place = made.joinpath(*parts)
        place.mkdir(parents=True)
        (place / "metin.txt").write_bytes(text)


def _text(file: Path | None) -> bytes:
    if file is not None:
        return file.read_bytes()
    data = Path(str(resources.files("ekle.text") / "data"))
    return b"".join(path.read_bytes() for path in sorted(data.glob("tr_*.txt")))


def _case(work: Path, name: str, label: str, make: Callable[[Path], None]) -> Case:
    """The figures of one input: from the file that an earlier call left, or measured now."""
    kept = work / f"{name}.json"
    if kept.is_file():
        return Case(**json.loads(kept.read_text("utf-8")))
    work.mkdir(parents=True, exist_ok=True)
    place = work / (f"{name}.txt" if name.startswith("file") else name)
    if not place.exists():
        if name.startswith("file"):
            with atomic_file(place) as path:
                make(path)
        else:
            make(place)
    files = [path for path in place.rglob("*.txt") if path.is_file()] if place.is_dir() else [place]
    words = ["count", "--corpus", str(place), "--set", "corpus.repeats=0"]
    seconds, gigabytes = child(*words, "--out", str(work / f"{name}.parquet"))
    case = Case(
        label, sum(path.stat().st_size for path in files), len(files), round(seconds, 1), round(gigabytes, 3)
    )
    print(f"{label}: {case.bytes:,} bytes, {case.seconds:.1f} s, {case.gigabytes:.2f} GB", flush=True)
    write_json(kept, asdict(case))
    return case


def _page(cases: list[Case], source: str) -> str:
    about = paragraph(
        f"Written by `python -m benchmarks.large_input` on {os.cpu_count()} cores: `ekle count` on {source}, "
        "repeated. Memory is the peak of the process."
    )
    rows = ["| input | MB | files | seconds | memory, GB |", "|---|---:|---:|---:|---:|"]
    for case in cases:
        cells = [f"{case.bytes / MB:,.1f}", f"{case.files:,}", f"{case.seconds:.1f}", f"{case.gigabytes:.2f}"]
        rows.append("| " + " | ".join([case.input, *cells]) + " |")
    return "\n\n".join(["# Large input", about, "\n".join(rows)]) + "\n"


if __name__ == "__main__":
    main()
