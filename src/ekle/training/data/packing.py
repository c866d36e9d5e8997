"""Documents of several sources packed into sequences of one length, without padding and without leakage.

Sequences are filled with one document after the other. Positions start again at 0 with each document, which
tells the attention mask where a document ends (transformers derives it from the positions if there is no mask
and no cache). A document that does not fit goes on in the next sequence, again from position 0.

A thread prepares sequences in advance. The tokenizer releases Python's lock, so a thread is enough to have
the next sequences ready while the model is busy. Sequences that are prepared and never used do no harm when
a run resumes: each has the place after itself, and the run goes on from the last one that it used.
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
    """Share of all tokens; the shares of all sources add up to 1."""
    documents: Readable


@dataclass(frozen=True)
class Cursor:
    """How far the text has been read, by name of the source: enough to go on exactly there."""

    documents: dict[str, int] = field(default_factory=dict)
    """Documents begun."""
    read: dict[str, int] = field(default_factory=dict)
    """Tokens read."""
    source: str = ""
    """The source of the document under way."""
    offset: int = 0
    """Tokens used of the document under way; 0 if none is."""

    @property
    def tokens(self) -> int:
        """Tokens of all sources together."""
        return sum(self.read.values())

    def as_json(self) -> dict[str, Any]:
        """The fields; `Cursor(**fields)` restores it."""
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
        """Its number among all sequences since the beginning of the training, from 0."""
        return self.after.tokens // len(self.inputs) - 1


def pack(sources: Sequence[Source], *, length: int, cursor: Cursor) -> Iterator[Packed]:
    """Endless sequences from `cursor` on.

    The next document always comes from the source that is furthest behind its share of the tokens. Nothing
    is random.

    Args:
        sources: what to mix.
        length: T.
        cursor: where to start; `Cursor()` for the beginning.
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
    """The first source of those that lack most tokens."""
    total = sum(read.values())
    return max(sources, key=lambda source: source.share * total - read[source.name]).name


class Batches:
    """Batches of packed sequences for one of several processes.

    A batch has `input_ids`, `labels` and `position_ids`, all (B, T), and the `numbers` of its sequences. Of
    the whole batch over all processes it has `cursor`, the place after it as a dictionary, and `learned`, how
    many labels of each sequence count. All processes read the same text, and of P sequences process p keeps
    the p-th, so a run may go on with another number of processes.
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
    """Which tokens of packed sequences (B, T) begin a document: at position 0, or at the start of a row.

    A row that goes on with a document of the row before counts as a new beginning.
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

_LOOK = 0.1  # seconds after which an idle thread checks whether it is still needed


def prefetch(items: Iterator[Item], most: int) -> Generator[Item, None, None]:
    """The same items in the same order; a thread prepares up to `most` of them in advance.

    An exception of `items` is raised in place of the item. The thread ends when the returned generator is
    closed.
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
    """Put items, or the exception that ends them, into `made` until `over` is set."""
    item: Item | BaseException
    while not over.is_set():
        try:
            item = next(items)
        except BaseException as error:  # for the one who waits for the item
            item = error
        while not over.is_set():
            try:
                made.put(item, timeout=_LOOK)
                break
            except queue.Full:
                continue
        if isinstance(item, BaseException):
            return
