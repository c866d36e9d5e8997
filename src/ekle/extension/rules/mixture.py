"""New rows as weighted sums of base rows, which is what most rules come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.model.row_matrix import RowMatrix, rows_at_once


@dataclass(frozen=True)
class Mixture:
    """Which base rows a new row is made of: new row i takes the next `lengths[i]` of `ids` and `weights`.

    The weights of a row sum to 1 and none is negative, so it lies in the convex hull of the base's rows:
    its logit is never above the highest of theirs, and greedy decoding of the base is as it was (Mundra et
    al. 2024, "An Empirical Comparison of Vocabulary Expansion and Initialization Approaches for Language
    Models").
    """

    ids: Tensor
    weights: Tensor
    lengths: Tensor


def mixture(shares: Iterable[Mapping[int, float]]) -> Mixture:
    """From one mapping of base id to positive share for each new row; shares are scaled to sum to 1."""
    ids: list[int] = []
    weights: list[float] = []
    lengths: list[int] = []
    for share in shares:
        total = sum(share.values())
        ids += share
        weights += [part / total for part in share.values()]
        lengths.append(len(share))
    return Mixture(
        torch.tensor(ids, dtype=torch.long), torch.tensor(weights), torch.tensor(lengths, dtype=torch.long)
    )


def even_shares(pieces: Sequence[int]) -> dict[int, float]:
    """The same share for each of `pieces`; one that stands there twice has two."""
    shares: dict[int, float] = {}
    for piece in pieces:
        shares[piece] = shares.get(piece, 0.0) + 1 / len(pieces)
    return shares


def mix(rows: RowMatrix, parts: Mixture) -> Tensor:
    """The new rows (new tokens, width) in float32; holds at most 64 MB of base rows beside them."""
    result = torch.zeros(len(parts.lengths), rows.width)
    owner = torch.repeat_interleave(torch.arange(len(parts.lengths)), parts.lengths)
    step = rows_at_once(rows.width)
    for start in range(0, len(owner), step):
        here = slice(start, start + step)
        result.index_add_(0, owner[here], rows.take(parts.ids[here]) * parts.weights[here, None])
    return result
