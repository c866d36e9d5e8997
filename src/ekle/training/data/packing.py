"""Documents of several sources packed into sequences of one length, without padding and without leakage.

Sequences are cut from one document after the other. Positions start anew at 0 with each document, by which
the attention mask knows where one ends (transformers derives it from the positions when there is no mask
and no cache). A document that a sequence cuts goes on in the next one, again from position 0.

A thread makes them in advance. The tokenizer works outside Python's lock, so a thread is enough to have the
next sequences ready while the model is busy. What is made ahead and never used costs nothing on resuming:
each carries the place behind itself, and a run goes on from the last one that it used.
"""

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from ekle.errors import TrainingError
from ekle.model.layers.loss import IGNORED
from ekle.training.data.documents import Readable, Tokens


@dataclass(frozen=True)
class Source:
    """Documents of one kind."""

    name: str
    share: float
    """Of all tokens; the shares of all sources add up to 1."""
    documents: Readable


@dataclass(frozen=True)
class Cursor:
    """Where the text has been read to: enough to go on exactly there. Sources stand under their names."""

    documents: dict[str, int] = field(default_factory=dict)
    """Documents that were begun."""
    read: dict[str, int] = field(default_factory=dict)
    """Tokens that were read."""
    source: str = ""
    """Where the document under way comes from."""
    offset: int = 0
    """Tokens used of the document under way; 0 where none is."""

    @property
    def tokens(self) -> int:
        """Tokens of all sources together."""
        return sum(self.read.values())

    def as_json(self) -> dict[str, Any]:
        """The fields; `Cursor(**fields)` is the way back."""
        return asdict(self)

    def figures(self) -> dict[str, int]:
        """For a log: `tokens`, and for each source `<name>_tokens`."""
        return {"tokens": self.tokens, **{f"{name}_tokens": count for name, count in self.read.items()}}


@dataclass(frozen=True)
class Packed:
    """One sequence of T tokens, the token to learn at each, and the place after it."""

    inputs: list[int]
    labels: list[int]
    positions: list[int]
    after: Cursor

    @property
    def number(self) -> int:
        """Its place among all sequences since the beginning of the training, from 0."""
        return self.after.tokens // len(self.inputs) - 1


def pack(sources: Sequence[Source], *, length: int, cursor: Cursor) -> Iterator[Packed]:
    """Endless sequences from `cursor` on.

    The next document is always one of the source that is furthest behind its share of the tokens, so that
    chance plays no part.

    Args:
        sources: what to mix.
        length: T.
        cursor: where to go on; `Cursor()` at the beginning.
    """
    by_name = {source.name: source for source in sources}
    begun = {name: cursor.documents.get(name, 0) for name in by_name}
    read = {name: cursor.read.get(name, 0) for name in by_name}
    name, offset = cursor.source, cursor.offset
    document = by_name[name].documents.tokens(begun[name] - 1) if offset else Tokens([], [])
    while True:
        inputs: list[int] = []
        labels: list[int] = []
        positions: list[int] = []
        while len(inputs) < length:
            if offset == 0:
                name = _furthest_behind(sources, read)
                begun[name] += 1
                document = by_name[name].documents.tokens(begun[name] - 1)
            stop = min(offset + length - len(inputs), len(document.inputs))
            inputs += document.inputs[offset:stop]
            labels += document.labels[offset:stop]
            positions += range(stop - offset)
            read[name] += stop - offset
            offset = stop if stop < len(document.inputs) else 0
        yield Packed(inputs, labels, positions, Cursor(dict(begun), dict(read), name, offset))


def _furthest_behind(sources: Sequence[Source], read: dict[str, int]) -> str:
    """The first of those that lack most tokens."""
    total = sum(read.values())
    return max(sources, key=lambda source: source.share * total - read[source.name]).name


class Batches:
    """Batches of packed sequences for one of several processes.

    Each is `input_ids`, `labels`, `position_ids`, all (B, T), and the `numbers` of its sequences; and of the
    whole batch, that of all processes, `cursor`, the place after it as a dictionary, and `learned`, how many
    labels of each of its sequences count. All processes read the same text, and of P sequences process p
    keeps the p-th, so a run may go on with another number of them.
    """

    def __init__(self, sequences: Iterator[Packed], batch_size: int, process: int = 0, processes: int = 1):
        self._sequences = sequences
        self._batch_size, self._process, self._processes = batch_size, process, processes

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Go on where the last iteration stopped."""
        while True:
            drawn = [next(self._sequences) for _ in range(self._batch_size * self._processes)]
            own = drawn[self._process :: self._processes]
            yield {
                "input_ids": _tensor([packed.inputs for packed in own]),
                "labels": _tensor([packed.labels for packed in own]),
                "position_ids": _tensor([packed.positions for packed in own]),
                "numbers": [packed.number for packed in own],
                "cursor": drawn[-1].after.as_json(),
                "learned": [len(packed.labels) - packed.labels.count(IGNORED) for packed in drawn],
            }


def document_starts(position_ids: Tensor) -> Tensor:
    """Which tokens of packed sequences (B, T) begin a document: those at position 0, and each row's first.

    A row that goes on with the document of the one before starts anew as well.
    """
    starts = position_ids == 0
    starts[:, 0] = True
    return starts


def check_enough_text(texts: Sequence[Readable], needed: int) -> None:
    """Raise TrainingError unless one pass over `texts` gives `needed` tokens."""
    tokens = 0
    for text in texts:
        for number in range(len(text)):
            tokens += len(text.tokens(number).inputs)
            if tokens >= needed:
                return
    raise TrainingError(
        f"{texts[0].path} has {tokens:,} tokens but one step takes {needed:,} of it; add text, or lower "
        "training.batch_size, training.gradient_accumulation or training.sequence_length"
    )


def _tensor(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.long)


Item = TypeVar("Item")

_LOOK = 0.1  # seconds after which a thread with nothing to do looks whether it is still wanted


def prefetch(items: Iterator[Item], most: int) -> Generator[Item, None, None]:
    """The same items in the same order, of which a thread makes up to `most` in advance.

    An exception that `items` raises is raised where the item would have come. The thread ends when the
    generator that is returned is closed.
    """
    made: queue.Queue[Item | BaseException] = queue.Queue(most)
    over = threading.Event()
    maker = threading.Thread(target=_make, args=(items, made, over), daemon=True)
    maker.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, StopIteration):
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        maker.join()


def _make(items: Iterator[Item], made: "queue.Queue[Item | BaseException]", over: threading.Event) -> None:
    """Put items, and the exception after which there are none, until `over` is set."""
    item: Item | BaseException
    while not over.is_set():
        try:
            item = next(items)
        except BaseException as error:  # it belongs to whoever waits for the item
            item = error
        while not over.is_set():
            try:
                made.put(item, timeout=_LOOK)
                break
            except queue.Full:
                continue
        if isinstance(item, BaseException):
            return
