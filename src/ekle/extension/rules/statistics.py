"""What the base rows in use have in common: their mean, their spread, the length of the typical one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.model.row_matrix import RowMatrix, parts


@dataclass(frozen=True)
class RowStatistics:
    """`mean` and `std` (width,) a dimension, and the `median_norm` of a row."""

    mean: Tensor
    std: Tensor
    median_norm: float

    @property
    def rms(self) -> float:
        """Root mean square of a number in a row."""
        return float((self.mean.square() + self.std.square()).mean().sqrt())


def row_statistics(rows: RowMatrix, used: Tensor) -> RowStatistics:
    """Statistics of `rows[used]`, in float64 by parts: one pass over the matrix, 64 MB in memory.

    Rows without a token (267 in Qwen3) are left out of `used`, as they were never trained.
    """
    total = torch.zeros(rows.width, dtype=torch.float64)
    squares = torch.zeros_like(total)
    norms = []
    for part in parts(rows, used):
        total += part.sum(dim=0, dtype=torch.float64)
        squares += part.square().sum(dim=0, dtype=torch.float64)
        norms.append(part.norm(dim=1))
    mean = total / len(used)
    variance = (squares / len(used) - mean.square()).clamp(min=0)
    return RowStatistics(mean.float(), variance.sqrt().float(), float(torch.cat(norms).median()))
