"""A part of a corpus: its beginning, or a random sample in the order of a shuffle, as pages."""

import heapq
import random
from collections.abc import Iterable, Iterator

_PAGE_BYTES = 1000


def sample_text(documents: Iterable[str], size: int, seed: int) -> list[str]:
    """Whole documents of about `size` bytes in all, each as likely as any other, in random order.

    A corpus is mostly ordered by source, so its beginning would stand for one source alone.

    Args:
        documents: all of them; read to the end.
        size: bytes to keep.
        seed: of the choice and the order.
    """
    random_key, kept, total = random.Random(seed).random, list[tuple[float, int, str]](), 0
    for number, text in enumerate(documents):
        key = random_key()
        if total >= size and key >= -kept[0][0]:
            continue
        heapq.heappush(kept, (-key, number, text))
        total += len(text.encode())
        while total - len(kept[0][2].encode()) >= size:
            total -= len(heapq.heappop(kept)[2].encode())
    return [text for _, _, text in sorted(kept, reverse=True)]


def pages(texts: Iterable[str]) -> list[str]:
    """The texts in order, short ones joined by line breaks until they have about 1,000 bytes.

    Where a corpus has a line per document, no text would have a line break in it. New tokens would then never
    learn to keep out of the states behind one, and break English, whose lines are short (docs/log.md).
    """
    found: list[str] = []
    lines: list[str] = []
    size = 0
    for text in texts:
        lines.append(text)
        size += len(text.encode())
        if size >= _PAGE_BYTES:
            found.append("\n".join(lines))
            lines, size = [], 0
    if lines:
        found.append("\n".join(lines))
    return found


def first_bytes(documents: Iterable[str], size: int) -> Iterator[str]:
    """The first documents, until they have `size` bytes."""
    for text in documents:
        yield text
        size -= len(text.encode())
        if size <= 0:
            return
