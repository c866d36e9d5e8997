"""Input rows of the length of a row in use; output rows by another rule (`initialise` picks it)."""

from collections.abc import Sequence

from torch import Tensor

from ekle.extension.rules.statistics import RowStatistics
from ekle.extension.rules.subword import subword_rows
from ekle.model.row_matrix import RowMatrix


def asymmetric_input_rows(
    rows: RowMatrix, pieces: Sequence[Sequence[int]], statistics: RowStatistics
) -> Tensor:
    """New input rows (new tokens, width) in float32: the mean of the pieces at the median norm in use.

    The mean of n unrelated rows is about 1 / sqrt(n) as long as they are. The first layer's norm undoes
    that, but the residual stream keeps it, so a short row speaks more softly than any the layers have
    heard. Rescaling is for input rows only: the length of an output row is a part of its logit. Ours;
    reads one base row a piece, after one pass over the matrix for the median.
    """
    new = subword_rows(rows, pieces)
    return new.mul_(statistics.median_norm / new.norm(dim=1, keepdim=True).clamp(min=1e-12))
