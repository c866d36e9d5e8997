"""Statistics of the base rows in use, and the rule `statistical` that samples from them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.model.checkpoint.weights import EmbeddingMatrix, row_chunks


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


def row_statistics(rows: EmbeddingMatrix, used: Tensor) -> RowStatistics:
    """Statistics of `rows[used]`, in float64 by parts: one pass over the matrix, 64 MB in memory.

    Rows without a token (267 in Qwen3) are left out of `used`, as they were never trained.
    """
    total = torch.zeros(rows.width, dtype=torch.float64)
    squares = torch.zeros_like(total)
    norms = []
    for part in row_chunks(rows, used):
        total += part.sum(dim=0, dtype=torch.float64)
        squares += part.square().sum(dim=0, dtype=torch.float64)
        norms.append(part.norm(dim=1))
    mean = total / len(used)
    variance = (squares / len(used) - mean.square()).clamp(min=0)
    return RowStatistics(mean.float(), variance.sqrt().float(), float(torch.cat(norms).median()))


def statistical_rows(statistics: RowStatistics, count: int, generator: torch.Generator) -> Tensor:
    """`count` new rows (count, width) in float32: mean plus standard deviation times normal noise.

    What the guide calls `statistical`, and what Hewitt (2021) draws, with a diagonal covariance: a full
    one of width 4,096 would take a pass of 17 million sums a row and differs little in norm. Rows differ
    from each other, so they can learn apart, but no row knows its token. Costs one pass over the matrix.

    Args:
        statistics: mean and standard deviation (width,) of the base rows in use.
        count: number of new tokens.
        generator: gives the noise; the rows follow from its seed.
    """
    noise = torch.randn(count, len(statistics.mean), generator=generator)
    return noise.mul_(statistics.std).add_(statistics.mean)
