"""Texts a few at a time, for what keeps a part of every text of a batch in memory: an encoding, hashes."""

from collections.abc import Iterable, Iterator

_TEXTS = 2_000
_CHARACTERS = 2_000_000


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """`texts` in their order, up to 2,000 at a time, and fewer where these are long."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == _TEXTS or characters >= _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
