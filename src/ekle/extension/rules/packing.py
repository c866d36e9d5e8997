"""Texts as packed sequences of one length, without padding, for the extended tokenizer or the base's."""

import random
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

Encode = Callable[[str], list[int]]
"""The ids of a text."""


def packed(
    texts: Sequence[str], encode: Encode, prefix_token: int, length: int, seed: int
) -> Iterator[Tensor]:
    """Sequences (length,) without end: the texts in a new order each time, a prefix token before each.

    A sequence starts with a prefix token, also where a text goes on in it.

    Args:
        texts: at least one that is not empty.
        encode: of the tokenizer.
        prefix_token: its id.
        length: tokens of a sequence, at least 2.
        seed: of the order.
    """
    rest: list[int] = []
    shuffle = random.Random(seed).shuffle
    order = list(range(len(texts)))
    while True:
        shuffle(order)
        for place in order:
            rest += [prefix_token, *encode(texts[place])]
            while len(rest) >= length:
                start = 0 if rest[0] == prefix_token else 1
                taken = rest[: length - start]
                yield torch.tensor([prefix_token] * start + taken)
                rest = rest[length - start :]


def packed_once(texts: Sequence[str], encode: Encode, prefix_token: int, length: int) -> tuple[Tensor, int]:
    """All of `texts` in order as sequences (B, length), and their bytes; prefix tokens fill the last one."""
    ids = [number for text in texts for number in (prefix_token, *encode(text))]
    rows = []
    while ids:
        start = 0 if ids[0] == prefix_token else 1
        row = [prefix_token] * start + ids[: length - start]
        ids = ids[length - start :]
        rows.append(row + [prefix_token] * (length - len(row)))
    return torch.tensor(rows), sum(len(text.encode()) for text in texts)


def mixed(turkish: Iterator[Tensor], replay: Iterator[Tensor] | None, share: float) -> Iterator[Tensor]:
    """Sequences of both, of which `share` are `replay`, evenly spread; without replay the first alone."""
    number = 0
    while True:
        number += 1
        takes_replay = replay is not None and int(number * share) > int((number - 1) * share)
        yield next(replay if takes_replay and replay is not None else turkish)
