"""The clear twin of `ekle.model.row_matrix.RowsOnDisk`, for matrices that a test writes out."""

from torch import Tensor


class RowsInMemory:
    """A row matrix that is at hand as a tensor (count, width) of any precision."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows
        self.count, self.width = rows.shape

    def take(self, ids: Tensor) -> Tensor:
        """See `ekle.model.row_matrix.RowMatrix`."""
        return self._rows[ids].float()
