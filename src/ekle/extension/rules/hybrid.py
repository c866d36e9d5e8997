"""Rows of similar tokens, drawn towards the statistics of all rows, with a little noise."""

import torch
from torch import Tensor

from ekle.extension.rules.statistics import RowStatistics
from ekle.recipe.extension import HybridSettings


def hybrid_rows(
    similar: Tensor, statistics: RowStatistics, settings: HybridSettings, generator: torch.Generator
) -> Tensor:
    """New rows (new tokens, width) in float32: the guide's `hybrid`, "both, with noise".

    A share of the mean of the rows in use is mixed into the rows of `similarity`, so that a token of rare
    pieces is not thrown far out; the noise, in standard deviations of the rows in use, tells tokens of the
    same pieces and neighbours apart. Costs what `similarity` and one pass over the matrix cost.

    Args:
        similar: rows (new tokens, width) that `similarity_rows` gave.
        statistics: mean and standard deviation (width,) of the base rows in use.
        settings: how much of either.
        generator: gives the noise; the rows follow from its seed.
    """
    noise = torch.randn(similar.shape, generator=generator).mul_(settings.noise * statistics.std)
    return torch.lerp(similar, statistics.mean.expand_as(similar), settings.statistics).add_(noise)
