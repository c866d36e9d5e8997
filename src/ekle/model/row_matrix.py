"""A matrix of rows as the initialisers read it: chosen rows in float32.

The matrix of an 8B model is 1.2 GB. A rule for new rows needs a few thousand of its rows at a time,
so it gets those, and nobody holds the whole.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from ekle.model.weights import Weights

_CHUNK_BYTES = 64_000_000


class RowMatrix(Protocol):
    """Rows (count, width) of a model's input or output matrix."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def width(self) -> int:
        """Numbers in a row."""

    def take(self, ids: Tensor) -> Tensor:
        """The rows `ids` (n,), in any order and with repeats, as (n, width) in float32."""


class RowsOnDisk:
    """A row matrix of a model folder; reads only what is asked for."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._weights, self._name = weights, name
        self.count, self.width = weights.shape(name)

    def take(self, ids: Tensor) -> Tensor:
        """See `RowMatrix`."""
        wanted, places = torch.unique(ids, return_inverse=True)
        return self._weights.take(self._name, wanted.tolist()).float()[places]


def parts(rows: RowMatrix, ids: Tensor) -> Iterator[Tensor]:
    """The rows `ids` in order, 64 MB of float32 at a time."""
    for part in ids.split(rows_at_once(rows.width)):
        yield rows.take(part)


def rows_at_once(width: int) -> int:
    """How many rows of `width` numbers in float32 fill 64 MB; at least one."""
    return max(1, _CHUNK_BYTES // (4 * width))
