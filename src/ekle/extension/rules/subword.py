"""A new row is the mean of the rows of the base pieces that the new token replaces."""

from collections.abc import Sequence

from torch import Tensor

from ekle.extension.rules.mixture import even_shares, mix, mixture
from ekle.model.row_matrix import RowMatrix


def subword_rows(rows: RowMatrix, pieces: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is the mean of `rows[pieces[i]]`.

    The token starts near the meaning of its parts (Koto et al. 2021, "IndoBERTweet", section 3). Reads one
    base row a piece; the same at both ends of the model.
    """
    return mix(rows, mixture(even_shares(token) for token in pieces))
