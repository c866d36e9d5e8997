"""Markdown pages that benchmarks write: text wrapped at 110 columns, cells over seeds, whole files."""

import re
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ekle.files import atomic_file

WIDTH = 110


def paragraph(text: str, indent: str = "") -> str:
    """`text` in lines of at most `WIDTH` columns; the lines after the first begin with `indent`."""
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def wrap(page: str) -> str:
    """`page` with its paragraphs and the items of its flat lists wrapped; headings, tables and code stay."""
    parts = re.split(r"(^```.*?^```$)", page, flags=re.MULTILINE | re.DOTALL)
    text, code = parts[::2], [*parts[1::2], ""]
    wrapped = ["\n\n".join(map(_wrapped, part.split("\n\n"))) for part in text]
    return "".join(map(str.__add__, wrapped, code))


def _wrapped(block: str) -> str:
    if block.startswith("- "):
        return "\n".join(paragraph(" ".join(item.split()), "  ") for item in re.split(r"\n(?=- )", block))
    if not block.strip() or block.startswith(("#", "|")):
        return block
    return paragraph(" ".join(block.split()))


def mean_cell(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds; of one seed its value alone."""
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"


def publish(page: str, out: Path | None) -> None:
    """Write a page whole or not at all; print it where no file is given."""
    if out is None:
        print(page)
        return
    with atomic_file(out) as path:
        path.write_text(page, encoding="utf-8")
