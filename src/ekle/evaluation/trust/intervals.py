"""Confidence intervals: the bootstrap over documents (Efron 1979) for ratios of sums, Wilson's for shares.

A compared figure is a ratio of two sums over the same documents: bytes to tokens, tokens of one
tokenizer to tokens of another, nats of one model to nats of another. A resample draws documents with
replacement. Both sums are over the same resample, so a comparison is paired. The interval is the middle 95 %
of the ratios of all resamples.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekle.artifacts.evaluation_report import Figure

LEVEL = 0.95
_LEAST_DOCUMENTS = 10  # fewer say nothing about the spread between documents
_GROUPS = 1_000
_ROUNDING = 1e-12  # how much sums of the same numbers in another order may differ
_NORMAL = 1.959964  # the normal distribution's 97.5 % point


def ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    resamples: int,
    seed: int,
    *,
    scale: float = 1.0,
    less: float = 0.0,
) -> Figure:
    """`scale` x sum(numerators) / sum(denominators) - `less`, with its interval.

    More than 1,000 documents are first put into 1,000 random groups. Resampling the groups gives the same
    interval for a fraction of the work.

    Args:
        numerators, denominators: one entry per document.
        resamples: how many resamples of the documents are drawn.
        seed: of the resamples.
        scale: the unit; negative turns the order of the limits.
        less: 1 makes a ratio of two sums a relative change.

    Returns:
        `value`, and `low` and `high` where there are at least 10 documents and they are not all alike.
        Resamples of equal documents would claim certainty.
    """
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    value = float(scale * above.sum() / below.sum() - less)
    if len(above) < _LEAST_DOCUMENTS:
        return Figure(value=value)
    random = np.random.default_rng(seed)
    if len(above) > _GROUPS:
        group = random.permutation(len(above)) % _GROUPS
        above = np.bincount(group, weights=above).astype(np.float64)
        below = np.bincount(group, weights=below).astype(np.float64)
    drawn = random.integers(len(above), size=(resamples, len(above)))
    sums: NDArray[np.float64] = below[drawn].sum(axis=1)
    ratios = scale * above[drawn].sum(axis=1)[sums > 0] / sums[sums > 0] - less
    return percentile_interval(value, ratios)


def percentile_interval(value: float, draws: ArrayLike) -> Figure:
    """`value` with the interval of its `draws`; without one where all draws are alike."""
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if math.isclose(low, high, rel_tol=0.0, abs_tol=_ROUNDING):
        return Figure(value=value)
    return Figure(value=value, low=float(low), high=float(high))


def saved(after: ArrayLike, before: ArrayLike, resamples: int, seed: int) -> Figure:
    """The share of `before` that `after` saves, with its interval."""
    return ratio(after, before, resamples, seed, scale=-1.0, less=-1.0)


def change(after: ArrayLike, before: ArrayLike, resamples: int, seed: int) -> Figure:
    """The relative change from `before` to `after` (0.02 is 2 % more), with its interval."""
    return ratio(after, before, resamples, seed, less=1.0)


def share(hits: int, size: int) -> Figure:
    """The share of `size` items that are hits, with the interval of Wilson (1927).

    The bootstrap would claim certainty where nothing was hit: a resample of zeros is zero.
    """
    middle = (hits + _NORMAL**2 / 2) / (size + _NORMAL**2)
    half = _NORMAL / (size + _NORMAL**2) * math.sqrt(hits * (size - hits) / size + _NORMAL**2 / 4)
    low = max(middle - half, 0.0) if hits else 0.0  # rounding must not move a limit that is exact
    return Figure(value=hits / size, low=low, high=min(middle + half, 1.0) if hits < size else 1.0)


def clustered(hits: ArrayLike, sizes: ArrayLike, resamples: int, seed: int) -> Figure:
    """The share of items that are hits, with an interval over documents.

    Where all items are hits, or none is, the bootstrap would claim certainty. Then the limits are Wilson's,
    and each document counts as one item.

    Args:
        hits, sizes: hits and items, one entry per document.
        resamples, seed: of the interval.
    """
    figure = ratio(hits, sizes, resamples, seed)
    if len(np.asarray(sizes)) >= _LEAST_DOCUMENTS and figure.value in (0.0, 1.0):
        documents = int(np.count_nonzero(np.asarray(sizes)))
        return share(documents if figure.value else 0, documents)
    return figure
