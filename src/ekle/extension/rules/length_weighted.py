"""A new row is the mean of its pieces' rows, longer pieces counting for more."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from ekle.extension.rules.mixture import mix, mixture
from ekle.model.row_matrix import RowMatrix


def length_weighted_rows(
    rows: RowMatrix, pieces: Sequence[Sequence[int]], sizes: Mapping[int, int]
) -> Tensor:
    """New rows (new tokens, width) in float32: the mean of `rows[pieces[i]]`, weighted by length.

    In " kitap" + "lar" + "ı" the last piece occurs in every language and says next to nothing; the
    first says nearly all. `subword` gives both a third. Ours; reads one base row a piece.

    Args:
        rows: base rows of either end.
        pieces: base ids that each new token replaces, at least one a token.
        sizes: bytes of UTF-8 that a base id stands for; 1 where it is absent.
    """
    return mix(rows, mixture(_shares(token, sizes) for token in pieces))


def _shares(pieces: Sequence[int], sizes: Mapping[int, int]) -> dict[int, float]:
    shares: dict[int, float] = {}
    for piece in pieces:
        shares[piece] = shares.get(piece, 0.0) + max(sizes.get(piece, 1), 1)
    return shares
