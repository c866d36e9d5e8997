"""A new row is made of the rows of morphologically similar tokens."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from ekle.artifacts import NewToken
from ekle.extension.neighbours import Neighbours, Pieces
from ekle.extension.rules.mixture import even_shares, mix, mixture
from ekle.model.row_matrix import RowMatrix
from ekle.recipe.extension import Similarity


def similarity_rows(
    rows: RowMatrix,
    tokens: Sequence[NewToken],
    neighbours: Neighbours,
    weights: Similarity,
    end: Literal["input", "output"],
) -> Tensor:
    """New rows (new tokens, width) in float32: the guide's `similarity_based`.

    Each token has up to four groups: its own base pieces, tokens with its root, tokens that are its chain of
    suffixes (or, without such, words that end in it), and for a suffix its twins in other vowels. A group
    gives the mean over its members, and the groups are weighted by `weights`. A member that is new itself
    stands for its base pieces.

    The two ends differ. At the input a member is the mean of its pieces. At the output it is its first piece,
    as in `first_piece`, and the group of the chain is left out: the row answers to states in which a word is
    about to begin, and suffixes never come there.

    Reads up to `members` base rows, times their pieces, a group; about four times the cost of `subword`.
    """
    return mix(rows, mixture(_shares(token, neighbours, weights, end) for token in tokens))


def _shares(
    token: NewToken, neighbours: Neighbours, weights: Similarity, end: Literal["input", "output"]
) -> dict[int, float]:
    groups = neighbours.of(token)
    chain = groups.chain if end == "input" else []
    parts: list[tuple[float, Sequence[Pieces]]] = [
        (weights.pieces, [token.base_pieces]),
        (weights.root, groups.root),
        (weights.chain, chain),
        (weights.twins, groups.twins),
    ]
    shares: dict[int, float] = {}
    for weight, members in parts:
        for member in members if weight else ():
            for piece, share in even_shares(member if end == "input" else member[:1]).items():
                shares[piece] = shares.get(piece, 0.0) + weight * share / len(members)
    return shares
