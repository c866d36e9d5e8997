"""How fast tokenizers encode and decode, timed in turns so that a busy machine slows all of them alike."""

import time
from collections.abc import Callable, Sequence

from tokenizers import Tokenizer

from ekle.bpe.batches import batches
from ekle.errors import TextError

_ROUNDS = 5


def encode_speeds(
    tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS
) -> list[float]:
    """Characters encoded a second by each tokenizer, in the order given; divide two of them to compare.

    Raises:
        TextError: the documents are empty.
    """
    parts = list(batches(documents))

    def encode(tokenizer: Tokenizer) -> Callable[[], None]:
        def once() -> None:
            for part in parts:
                tokenizer.encode_batch_fast(part, add_special_tokens=False)

        return once

    return _rates([encode(tokenizer) for tokenizer in tokenizers], _characters(documents), rounds)


def decode_speeds(
    tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS
) -> list[float]:
    """Characters decoded a second by each tokenizer from its own ids of `documents`.

    Raises:
        TextError: the documents are empty.
    """
    characters = _characters(documents)

    def decode(tokenizer: Tokenizer) -> Callable[[], None]:
        parts = [
            [encoding.ids for encoding in tokenizer.encode_batch_fast(part, add_special_tokens=False)]
            for part in batches(documents)
        ]

        def once() -> None:
            for part in parts:
                tokenizer.decode_batch(part, skip_special_tokens=False)

        return once

    return _rates([decode(tokenizer) for tokenizer in tokenizers], characters, rounds)


def _characters(documents: Sequence[str]) -> int:
    characters = sum(map(len, documents))
    if not characters:
        raise TextError("there is no text to time the tokenizers on")
    return characters


def _rates(works: Sequence[Callable[[], None]], characters: int, rounds: int) -> list[float]:
    """Characters a second of each work: the best of `rounds`, after one untimed round that fills caches."""
    best = [float("inf")] * len(works)
    for turn in range(rounds + 1):
        for place, work in enumerate(works):
            started = time.perf_counter()
            work()
            if turn:
                best[place] = min(best[place], time.perf_counter() - started)
    return [characters / seconds for seconds in best]
