"""Documents packed into sequences of one length, without padding and without leakage.

A document is <|endoftext|> and its tokens; it is trained to give its first token after the start, and
<|endoftext|> after its last. Sequences are cut from one document after the other. Positions start
anew at 0 with each document, by which the attention mask knows where one ends (transformers derives
it from the positions when there is no mask and no cache). A document that a sequence cuts goes on in
the next one, again from position 0.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from ekle.errors import TrainingError
from ekle.training.documents import Documents


@dataclass(frozen=True)
class Cursor:
    """Where the text has been read to: enough to go on exactly there."""

    documents: int = 0
    """Documents of the training text that were begun."""
    replay_documents: int = 0
    tokens: int = 0
    """Tokens trained on, replay included."""
    replay_tokens: int = 0
    in_replay: bool = False
    """Whether the document under way is one of the replay text."""
    offset: int = 0
    """Tokens used of the document under way; 0 where none is."""

    def as_json(self) -> dict[str, Any]:
        """The fields; `Cursor(**fields)` is the way back."""
        return asdict(self)


@dataclass(frozen=True)
class Packed:
    """One sequence of T tokens, the token that follows each, and the place after it."""

    inputs: list[int]
    labels: list[int]
    positions: list[int]
    after: Cursor


def pack(
    text: Documents,
    replay: Documents | None,
    *,
    replay_share: float,
    start: int,
    length: int,
    cursor: Cursor,
) -> Iterator[Packed]:
    """Endless sequences from `cursor` on.

    Args:
        text: the language to learn.
        replay: text in other languages; None for none.
        replay_share: share of the tokens that comes from `replay`. The next document is a replay one
            whenever the share so far is below it, so that chance plays no part.
        start: id of <|endoftext|>.
        length: T.
        cursor: where to go on; `Cursor()` at the beginning.
    """
    at, ids = cursor, _resume(text, replay, start, cursor)
    while True:
        inputs: list[int] = []
        labels: list[int] = []
        positions: list[int] = []
        while len(inputs) < length:
            if at.offset == 0:
                at = _next(at, replay is not None, replay_share)
                ids = _begun(text, replay, start, at)
            take = min(length - len(inputs), len(ids) - 1 - at.offset)
            inputs += ids[at.offset : at.offset + take]
            labels += ids[at.offset + 1 : at.offset + take + 1]
            positions += range(take)
            used = at.offset + take
            at = replace(
                at,
                tokens=at.tokens + take,
                replay_tokens=at.replay_tokens + take * at.in_replay,
                offset=used if used < len(ids) - 1 else 0,
            )
        yield Packed(inputs, labels, positions, at)


def _next(at: Cursor, has_replay: bool, share: float) -> Cursor:
    """Begin the next document of the source whose turn it is."""
    if has_replay and at.replay_tokens < share * at.tokens:
        return replace(at, replay_documents=at.replay_documents + 1, in_replay=True)
    return replace(at, documents=at.documents + 1, in_replay=False)


def _begun(text: Documents, replay: Documents | None, start: int, at: Cursor) -> list[int]:
    """Ids of the document that was begun last, with <|endoftext|> on both sides."""
    if at.in_replay:
        assert replay is not None
        return [start, *replay.ids(at.replay_documents - 1), start]
    return [start, *text.ids(at.documents - 1), start]


def _resume(text: Documents, replay: Documents | None, start: int, at: Cursor) -> list[int]:
    return _begun(text, replay, start, at) if at.offset else []


class Batches(IterableDataset[dict[str, Any]]):
    """Batches of packed sequences for one of several processes.

    Each is `input_ids`, `labels`, `position_ids`, all (B, T), and `cursor`: the place after the whole
    batch, that of all processes, as a dictionary. All processes read the same text and keep their own
    sequences, so a run may go on with another number of them.
    """

    def __init__(self, sequences: Iterator[Packed], batch_size: int, process: int = 0, processes: int = 1):
        self._sequences = sequences
        self._batch_size, self._process, self._processes = batch_size, process, processes

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Go on where the last iteration stopped."""
        while True:
            drawn = [next(self._sequences) for _ in range(self._batch_size * self._processes)]
            own = drawn[self._process * self._batch_size : (self._process + 1) * self._batch_size]
            yield {
                "input_ids": _tensor([packed.inputs for packed in own]),
                "labels": _tensor([packed.labels for packed in own]),
                "position_ids": _tensor([packed.positions for packed in own]),
                "cursor": drawn[-1].after.as_json(),
            }


def check_enough(text: Documents, needed: int) -> None:
    """Raise TrainingError unless one pass over `text` gives `needed` tokens."""
    tokens = 0
    for number in range(len(text)):
        tokens += len(text.ids(number)) + 1
        if tokens >= needed:
            return
    raise TrainingError(
        f"{text.path} has {tokens:,} tokens but one step takes {needed:,} of it; add text, or lower "
        "training.batch_size, training.gradient_accumulation or training.sequence_length"
    )


def _tensor(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.long)
