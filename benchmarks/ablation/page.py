"""What the pages of both ablations share: a cell over seeds, and writing the lines."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from ekle.files import atomic_file


def mean_cell(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds; of one seed its value alone."""
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"


def write_lines(out: Path, lines: Iterable[str]) -> None:
    """Write a page whole or not at all."""
    with atomic_file(out) as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
