"""The documents of one file as tokens, in an order that the seed fixes."""

import json
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy
from numpy.typing import NDArray

from ekle.errors import TextError

Encode = Callable[[list[str]], list[list[int]]]
"""Texts to their token ids, many texts at once because the tokenizer then uses every core."""

Present = Callable[[int, list[int]], list[int]]
"""A document's number and its token ids to the ids that are read instead."""

Order = Callable[[int], NDArray[numpy.int64]]
"""The number of a pass, from 0, to the lines that it reads, as many as the file has; pure."""

_AT_ONCE = 64  # documents encoded together; those not used when a run stops are encoded again


class Documents:
    """A documents file of a Corpus, read again and again, each time in a new order.

    Document number n is the (n mod size)-th of pass n / size, and depends on nothing but the file, the
    seed and n, so one number is all that a run must remember of its place.

    Args:
        path: JSON lines with a `text`.
        seed: fixes the order of every pass.
        encode: the tokenizer.
        present: changes the tokens of a document (`ekle.training.merge_dropout`); None leaves them.
    """

    def __init__(self, path: Path, seed: int, encode: Encode, present: Present | None = None) -> None:
        self.path = path
        self._encode = encode
        self._present = present
        self._starts = _line_starts(path)
        self.reorder(shuffled(len(self._starts), seed))

    def __len__(self) -> int:
        """Documents in one pass."""
        return len(self._starts)

    def reorder(self, order: Order) -> None:
        """Read in `order` from here on."""
        self._order = order
        self._turn: tuple[int, NDArray[numpy.int64]] | None = None
        self._ahead: dict[int, list[int]] = {}

    def ids(self, number: int) -> list[int]:
        """Token ids of document `number`, counted from 0 over all passes.

        Raises:
            TextError: the file has changed, or the document is no JSON with a text.
        """
        if number not in self._ahead:
            numbers = range(number, number + _AT_ONCE)
            texts = [self.text(each) for each in numbers]
            self._ahead = dict(zip(numbers, self._encode(texts), strict=True))
            if self._present is not None:
                self._ahead = {each: self._present(each, ids) for each, ids in self._ahead.items()}
        return self._ahead[number]

    def text(self, number: int) -> str:
        """Text of document `number`; raises as `ids`."""
        turn, place = divmod(number, len(self._starts))
        if self._turn is None or self._turn[0] != turn:
            self._turn = turn, self._order(turn)
        with self.path.open("rb") as handle:
            handle.seek(self._starts[self._turn[1][place]])
            line = handle.readline()
        try:
            text: str = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise TextError(f"{self.path} has a line that is no document: {line[:80]!r}") from error
        return text


def shuffled(size: int, seed: int) -> Order:
    """Every line once a pass, each time in a new order."""
    return lambda turn: numpy.random.default_rng([seed, turn]).permutation(size)


def _line_starts(path: Path) -> "array[int]":
    """Byte offsets of the lines that hold something.

    Raises:
        TextError: there is no such file.
    """
    starts, at = array("q"), 0
    try:
        with path.open("rb") as handle:
            for line in handle:
                if line.strip():
                    starts.append(at)
                at += len(line)
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error}") from error
    return starts
