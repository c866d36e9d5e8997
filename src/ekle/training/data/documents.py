"""The documents of one file as tokens, in an order that the seed fixes.

Memory holds the place of each line alone, 16 bytes per line, so a file may be as large as the disk.
"""

import json
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ekle.errors import TextError

Encode = Callable[[list[str]], list[list[int]]]
"""Texts to their token ids; many texts together, because the tokenizer then uses every core."""

TokenTransform = Callable[[int, list[int]], list[int]]
"""A document's number and its token ids to the ids that are read instead."""

Order = Callable[[int], NDArray[numpy.int64]]
"""The number of a pass, from 0, to the order of its lines; a pure function."""

ByteRange = tuple[int, int]
"""First byte of a part of a file, and the one after its last."""

ENCODE_BATCH = 64
"""Documents encoded together; those not used when a run stops are encoded again."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A document as the model reads it: T ids, and the label of each."""

    inputs: list[int]
    labels: list[int]
    """The token that follows each; `ekle.model.layers.loss.IGNORED` if it is not to be learned."""


class Readable(Protocol):
    """Documents without end: those of one file, then the same in another order, and so on."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    def __len__(self) -> int:
        """Documents in one pass."""

    def tokens(self, number: int) -> Tokens:
        """Document `number`, counted from 0 over all passes. Raises TextError."""


class Lines:
    """A file of JSON lines, read again and again, each pass in a new order.

    Line number n is line n mod size of pass n / size. It depends on the file, the seed and n alone, so one
    number is all that a run must remember of its place.

    Args:
        path: JSON lines.
        seed: fixes the order of every pass.
        byte_range: the part of the file that is read; None reads all.

    Raises:
        TextError: there is no such file.
    """

    def __init__(self, path: Path, seed: int, byte_range: ByteRange | None = None) -> None:
        self.path, self.byte_range = path, byte_range
        self._starts = array("q", (at for at, _ in raw_lines(path, byte_range)))
        self.reorder(shuffled(len(self._starts), seed))

    def __len__(self) -> int:
        """Lines in one pass."""
        return len(self._starts)

    def reorder(self, order: Order) -> None:
        """Read in `order` from here on."""
        self._order = order
        self._epoch: tuple[int, NDArray[numpy.int64]] | None = None

    def record(self, number: int) -> dict[str, Any]:
        """What line `number` holds.

        Raises:
            TextError: the file has changed, or the line is no JSON object.
        """
        epoch, place = divmod(number, len(self._starts))
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = epoch, self._order(epoch)
        with self.path.open("rb") as handle:
            handle.seek(self._starts[self._epoch[1][place]])
            line = handle.readline()
        try:
            return dict(json.loads(line))
        except (ValueError, TypeError) as error:
            raise TextError(f"{self.path} has a line that is no document: {line[:80]!r}") from error

    def text(self, number: int) -> str:
        """The text of line `number`. Raises TextError as `record`, or where it has none."""
        record = self.record(number)
        if "text" not in record:
            raise TextError(f"{self.path} has a line that is no document: {str(record)[:80]!r}")
        return str(record["text"])


class Documents:
    """Running text. A document is <|endoftext|> and its tokens; after the last, <|endoftext|> is learned.

    Args:
        lines: JSON lines with a `text`.
        encode: the tokenizer.
        start: id of <|endoftext|>.
        transform: changes the tokens of a document (`ekle.training.data.merge_dropout`); None does not.
    """

    def __init__(
        self, lines: Lines, encode: Encode, start: int, transform: TokenTransform | None = None
    ) -> None:
        self.path, self.lines = lines.path, lines
        self._encode, self._start, self._transform = encode, start, transform
        self._ahead: dict[int, list[int]] = {}

    def __len__(self) -> int:
        """Documents in one pass."""
        return len(self.lines)

    def reorder(self, order: Order) -> None:
        """Read in `order` from here on."""
        self.lines.reorder(order)
        self._ahead = {}

    def ids(self, number: int) -> list[int]:
        """Token ids of document `number`, without <|endoftext|>; raises as `Lines.text`."""
        if number not in self._ahead:
            numbers = range(number, number + ENCODE_BATCH)
            texts = [self.lines.text(each) for each in numbers]
            self._ahead = dict(zip(numbers, self._encode(texts), strict=True))
            if self._transform is not None:
                self._ahead = {each: self._transform(each, ids) for each, ids in self._ahead.items()}
        return self._ahead[number]

    def tokens(self, number: int) -> Tokens:
        """See `Readable`."""
        ids = self.ids(number)
        return Tokens([self._start, *ids], [*ids, self._start])


def encoder(tokenizer: Tokenizer) -> Encode:
    """Encodes texts as they are, without special tokens before or after."""

    def encode(texts: list[str]) -> list[list[int]]:
        return [found.ids for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return encode


def shuffled(size: int, seed: int) -> Order:
    """Every line once per pass, each pass in a new order."""
    return lambda epoch: numpy.random.default_rng([seed, epoch]).permutation(size)


def raw_lines(path: Path, byte_range: ByteRange | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, each with the offset of its first byte.

    Raises:
        TextError: there is no such file.
    """
    at, stop = byte_range or (0, None)
    try:
        with path.open("rb") as handle:
            handle.seek(at)
            for line in handle:
                if stop is not None and at >= stop:
                    break
                if line.strip():
                    yield at, line
                at += len(line)
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error}") from error
