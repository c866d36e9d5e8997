"""Statistics of the base rows in use, and the rule `statistical`, which samples from them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.model.checkpoint.weights import EmbeddingMatrix, row_chunks


@dataclass(frozen=True)
class RowStatistics:
    """`mean` and `std` (width,) of each dimension, and the `median_norm` of a row."""

    mean: Tensor
    std: Tensor
    median_norm: float

    @property
    def rms(self) -> float:
        """Root mean square of the numbers in the rows."""
        return float((self.mean.square() + self.std.square()).mean().sqrt())


def row_statistics(rows: EmbeddingMatrix, used: Tensor) -> RowStatistics:
    """Statistics of `rows[used]`, in float64 by chunks: one pass over the matrix, 64 MB in memory.

    `used` should not have the ids of rows without a token (267 in Qwen3): those were never trained.
    """
    total = torch.zeros(rows.width, dtype=torch.float64)
    squares = torch.zeros_like(total)
    norms = []
    for chunk in row_chunks(rows, used):
        total += chunk.sum(dim=0, dtype=torch.float64)
        squares += chunk.square().sum(dim=0, dtype=torch.float64)
        norms.append(chunk.norm(dim=1))
    mean = total / len(used)
    variance = (squares / len(used) - mean.square()).clamp(min=0)
    return RowStatistics(mean.float(), variance.sqrt().float(), float(torch.cat(norms).median()))


def statistical_rows(statistics: RowStatistics, count: int, generator: torch.Generator) -> Tensor:
    """`count` new rows (count, width) in float32: mean plus standard deviation times normal noise.

    The guide calls this `statistical`. Hewitt (2021) samples the same with a full covariance; here it is
    diagonal, because a full one of width 4,096 takes 17 million operations per row and differs little in
    norm. The rows differ, so they can learn different things, but none has to do with its token. Costs one
    pass over the matrix.

    Args:
        statistics: mean and standard deviation (width,) of the base rows in use.
        count: number of new tokens.
        generator: source of the noise; the same seed gives the same rows.
    """
    noise = torch.randn(count, len(statistics.mean), generator=generator)
    return noise.mul_(statistics.std).add_(statistics.mean)
