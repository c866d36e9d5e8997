"""The rule `hybrid`: rows of similar tokens, moved towards the mean of all rows, with a little noise."""

import torch
from torch import Tensor

from ekle.model.row_statistics import RowStatistics
from ekle.recipe.extension import HybridSettings


def hybrid_rows(
    similar: Tensor, statistics: RowStatistics, settings: HybridSettings, generator: torch.Generator
) -> Tensor:
    """New rows (new tokens, width) in float32: the guide's `hybrid`, "both, with noise".

    A share of the mean of the rows in use is mixed into the rows of `similarity`, so that a token with rare
    base tokens does not start far from all others. The noise, in standard deviations of the rows in use,
    makes tokens different that have the same base tokens and neighbours. Costs as much as `similarity`, and
    one pass over the matrix.

    Args:
        similar: rows (new tokens, width) that `similarity_rows` gave.
        statistics: mean and standard deviation (width,) of the base rows in use.
        settings: share of the mean, and size of the noise.
        generator: source of the noise; the same seed gives the same rows.
    """
    noise = torch.randn(similar.shape, generator=generator).mul_(settings.noise * statistics.std)
    return torch.lerp(similar, statistics.mean.expand_as(similar), settings.mean_share).add_(noise)
