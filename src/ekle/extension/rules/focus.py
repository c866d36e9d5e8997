"""A new row is made of the base rows of tokens that mean the same in the user's text."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ekle.extension.rules.mixture import Mixture, even_shares, mixture
from ekle.extension.static_vectors import StaticVectors

_CANDIDATES = 64  # sparsemax keeps 22 on average (10 MB of real text); beyond 64 lies next to nothing
_AT_ONCE = 512


def focus_mixture(vectors: StaticVectors, first: int, pieces: Sequence[Sequence[int]]) -> Mixture:
    """What each new row is made of; `mix` makes rows (new tokens, width) of it, at either end of the model.

    After Dobler and de Melo (2023, "FOCUS: Effective Embedding Initialization for Monolingual
    Specialization of Multilingual Models"): new tokens are convex combinations of the tokens that old and
    new vocabulary share (here all base tokens), weighted by sparsemax over the cosines of static vectors of
    the user's text (`static_vectors`). A token too rare for a vector is the mean of its pieces.

    Args:
        vectors: of the text as the extended tokenizer cuts it, base and new tokens alike.
        first: id of the first new token.
        pieces: base ids that each new token replaces.

    Costs the making of the vectors, and one product of new tokens by base tokens.
    """
    old, new = vectors.ids < first, vectors.ids >= first
    known = vectors.ids[old]
    shares = [even_shares(token) for token in pieces]
    if not len(known):
        return mixture(shares)
    table = vectors.vectors[old]
    for ids, some in zip(vectors.ids[new].split(_AT_ONCE), vectors.vectors[new].split(_AT_ONCE), strict=True):
        cosines, places = (some @ table.T).topk(min(_CANDIDATES, len(known)), dim=1)
        for number, weights, near in zip(ids.tolist(), sparsemax(cosines), known[places], strict=True):
            kept = weights > 0
            shares[number - first] = dict(zip(near[kept].tolist(), weights[kept].tolist(), strict=True))
    return mixture(shares)


def sparsemax(scores: Tensor) -> Tensor:
    """The point of the simplex nearest to each row of `scores` (n, k), which descend; most entries are 0.

    Martins and Astudillo (2016), "From Softmax to Sparsemax", algorithm 1.
    """
    place = torch.arange(1, scores.shape[1] + 1)
    sums = scores.cumsum(dim=1)
    size = (1 + place * scores > sums).sum(dim=1, keepdim=True)
    threshold = (sums.gather(1, size - 1) - 1) / size
    return (scores - threshold).clamp(min=0)
