"""The clear twin of `StoredEmbeddingMatrix`, for matrices that a test writes out."""

from torch import Tensor


class RowsInMemory:
    """A row matrix that is at hand as a tensor (count, width) of any precision."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows
        self.count, self.width = rows.shape

    def take(self, ids: Tensor) -> Tensor:
        """See `ekle.model.checkpoint.weights.EmbeddingMatrix`."""
        return self._rows[ids].float()
