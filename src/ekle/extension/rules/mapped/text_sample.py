"""A random sample of a corpus that is read once, in the order of a shuffle."""

import heapq
import random
from collections.abc import Iterable


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
