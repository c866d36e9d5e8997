"""A new row is drawn from the distribution of the base rows in use."""

import torch
from torch import Tensor

from ekle.extension.rules.statistics import RowStatistics


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
