"""Documents out of plain text: lines are gathered, a number of bytes is taken, JSON lines are written."""

import json
from collections.abc import Iterator
from pathlib import Path


def documents_in(path: Path, least: int) -> Iterator[str]:
    """The lines of a text file in documents of at least `least` bytes; the last one may be shorter."""
    with path.open(encoding="utf-8") as handle:
        yield from gathered(handle, least)


def gathered(lines: Iterator[str], least: int) -> Iterator[str]:
    """Lines joined until a document has `least` bytes."""
    held: list[str] = []
    length = 0
    for line in lines:
        if stripped := line.strip():
            held.append(stripped)
            length += len(stripped.encode()) + 1
        if length >= least:
            yield "\n".join(held)
            held, length = [], 0
    if held:
        yield "\n".join(held)


def up_to(documents: Iterator[str], size: int) -> list[str]:
    """The next documents, until they have `size` bytes together."""
    kept = []
    for one in documents:
        kept.append(one)
        size -= len(one.encode())
        if size <= 0:
            break
    return kept


def save_documents(path: Path, documents: list[str]) -> None:
    """Write them as JSON lines with a `text`."""
    lines = (json.dumps({"text": one}, ensure_ascii=False) + "\n" for one in documents)
    path.write_text("".join(lines), encoding="utf-8")
