"""How fast tokenizers encode and decode, timed in turns so that a busy machine slows all of them alike.

The text is timed in parts of about equal length, and of each part the best of some rounds counts: what is
left of the noise, and of the difference between one text and another, shows in the spread between parts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ekle.errors import TextError

_ROUNDS = 5
_PARTS = 20


@dataclass(frozen=True)
class Timing:
    """What some tokenizers need for the same parts of a text."""

    characters: int
    """Of all parts."""
    seconds: NDArray[np.float64]
    """The best time of each part, shape (tokenizers, parts)."""

    @property
    def rates(self) -> list[float]:
        """Characters a second of each tokenizer; divide two of them to compare."""
        return [self.characters / float(seconds) for seconds in self.seconds.sum(axis=1)]


def time_encoding(tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS) -> Timing:
    """Let each tokenizer encode `documents`, a few lines at once.

    Raises:
        TextError: the documents are empty.
    """
    parts = _parts(documents)

    def encode(tokenizer: Tokenizer) -> list[Callable[[], object]]:
        return [partial(tokenizer.encode_batch_fast, part, add_special_tokens=False) for part in parts]

    return _timed([encode(tokenizer) for tokenizer in tokenizers], parts, rounds)


def time_decoding(tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS) -> Timing:
    """Let each tokenizer decode its own ids of `documents`.

    Raises:
        TextError: the documents are empty.
    """
    parts = _parts(documents)

    def decode(tokenizer: Tokenizer) -> list[Callable[[], object]]:
        ids = [
            [encoding.ids for encoding in tokenizer.encode_batch_fast(part, add_special_tokens=False)]
            for part in parts
        ]
        return [partial(tokenizer.decode_batch, part, skip_special_tokens=False) for part in ids]

    return _timed([decode(tokenizer) for tokenizer in tokenizers], parts, rounds)


def _parts(documents: Sequence[str]) -> list[list[str]]:
    """The lines of `documents` in order, dealt into at most 20 parts of about as many characters each."""
    lines = [line for text in documents for line in text.splitlines(keepends=True)]
    characters = sum(map(len, lines))
    if not characters:
        raise TextError("there is no text to time the tokenizers on")
    parts: list[list[str]] = [[] for _ in range(_PARTS)]
    before = 0
    for line in lines:
        parts[before * _PARTS // characters].append(line)
        before += len(line)
    return [part for part in parts if part]


def _timed(
    works: Sequence[Sequence[Callable[[], object]]], parts: Sequence[Sequence[str]], rounds: int
) -> Timing:
    """The best of `rounds` for each part, after one round that fills caches and is not counted.

    Args:
        works: for each tokenizer, the work on each part.
        parts: the text.
        rounds: how often each is timed.
    """
    best = np.full((len(works), len(parts)), np.inf)
    order = list(range(len(works)))
    for turn in range(rounds + 1):
        for part in range(len(parts)):
            for place in order:
                started = time.perf_counter()
                works[place][part]()
                if turn:
                    best[place, part] = min(best[place, part], time.perf_counter() - started)
        order.reverse()  # whoever comes second finds the caches of the machine in another state
    return Timing(sum(len(line) for part in parts for line in part), best)
