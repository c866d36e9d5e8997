"""The rule `focus`: new rows are made of base rows of tokens that mean the same in the user's text.

Meaning is measured by static vectors of tokens: positive pointwise mutual information within a window, and
its leading singular vectors. They are as good as skip-gram where contexts are smoothed by the power 0.75 and
vectors are U sqrt(S) (Levy, Goldberg and Dagan 2015, "Improving Distributional Similarity with Lessons
Learned from Word Embeddings"). It needs NumPy and PyTorch alone and gives the same vectors each time.
fastText, which FOCUS uses, is archived, needs a compiler, and its result depends on the order of its threads.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ekle.extension.rules.averages import Mixture, even_shares, mixture

_SMOOTHING = 0.75
_CHUNK = 500_000  # tokens whose pairs are sorted at once: 5 million pairs, 40 MB
_OVERSAMPLED = 10  # directions more than asked for, as is usual for randomised decompositions
_ROUNDS = 4  # of power iteration

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StaticVectors:
    """`vectors` (n, dimensions), each of length 1, for the tokens `ids` (n,), in ascending order."""

    ids: Tensor
    vectors: Tensor


def static_vectors(
    documents: Iterable[Sequence[int]], *, window: int, min_count: int, dimensions: int, seed: int
) -> StaticVectors:
    """Vectors for the tokens that occur at least `min_count` times.

    Args:
        documents: token ids of each text; pairs do not reach over its end.
        window: how far apart two tokens may be; a pair at distance d counts 1 / d.
        min_count: rarer tokens are left out, so that others become neighbours over them.
        dimensions: length of a vector; less where the text has fewer different tokens.
        seed: of the randomised decomposition (Halko, Martinsson and Tropp 2011).

    Costs 2 `window` pairs a token, sorted; the decomposition takes seconds. Empty where no token is
    frequent enough.
    """
    flat, owner = _flatten(documents)
    known, compact = _frequent(flat, min_count)
    kept = compact >= 0
    counts = _pairs(compact[kept], owner[kept], len(known), window)
    if not len(counts[0]):
        return StaticVectors(torch.empty(0, dtype=torch.long), torch.empty(0, dimensions))
    table = _information(*counts, len(known))
    vectors = _leading(table, min(dimensions, len(known)), seed)
    some = vectors.norm(dim=1) > 0
    vectors = vectors[some] / vectors[some].norm(dim=1, keepdim=True)
    return StaticVectors(torch.from_numpy(known)[some], vectors)


def _flatten(documents: Iterable[Sequence[int]]) -> tuple[Ids, Ids]:
    """All ids end to end, and the number of the document that each stands in."""
    arrays = [np.asarray(ids, dtype=np.int64) for ids in documents]
    lengths = [len(array) for array in arrays]
    flat = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64)
    return flat, np.repeat(np.arange(len(arrays)), lengths)


def _frequent(flat: Ids, min_count: int) -> tuple[Ids, Ids]:
    """The ids that occur often enough, and `flat` as places among them, -1 for the others."""
    ids, places, counts = np.unique(flat, return_inverse=True, return_counts=True)
    kept = counts >= min_count
    renamed = np.where(kept, np.cumsum(kept) - 1, -1)
    return ids[kept], renamed[places]


def _pairs(ids: Ids, owner: Ids, size: int, window: int) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Pairs within the window as `left * size + right`, ascending, with their weights; both directions."""
    keys: Ids = np.empty(0, dtype=np.int64)
    weights: npt.NDArray[np.float64] = np.empty(0)
    for start in range(0, len(ids), _CHUNK):
        stop = min(start + _CHUNK, len(ids))
        found, shares = [keys], [weights]
        for distance in range(1, window + 1):
            left = np.arange(start, min(stop, len(ids) - distance))
            left = left[owner[left] == owner[left + distance]]
            a, b = ids[left], ids[left + distance]
            found += [a * size + b, b * size + a]
            shares.append(np.full(2 * len(left), 1 / distance))
        keys, places = np.unique(np.concatenate(found), return_inverse=True)
        weights = np.bincount(places, np.concatenate(shares), len(keys)).astype(np.float64)
    return keys, weights


def _information(keys: Ids, weights: npt.NDArray[np.float64], size: int) -> Tensor:
    """Positive pointwise mutual information as a sparse matrix (size, size)."""
    left, right = keys // size, keys % size
    total = np.bincount(left, weights=weights, minlength=size)
    context = total**_SMOOTHING
    value = np.log(weights * context.sum() / (total[left] * context[right]))
    positive = value > 0
    places = torch.from_numpy(np.stack([left[positive], right[positive]]))
    values = torch.from_numpy(value[positive]).float()
    return torch.sparse_coo_tensor(places, values, (size, size), check_invariants=True).coalesce()


def _leading(table: Tensor, dimensions: int, seed: int) -> Tensor:
    """U sqrt(S) of the leading singular values of a sparse matrix, (rows, dimensions)."""
    width = min(dimensions + _OVERSAMPLED, table.shape[0])
    with warnings.catch_warnings():  # that the format is new; it halves the time
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        table, turned = table.to_sparse_csr(), table.t().to_sparse_csr()
    start = torch.randn(table.shape[0], width, generator=torch.Generator().manual_seed(seed))
    basis = torch.linalg.qr(table @ start)[0]
    for _ in range(_ROUNDS):
        basis = torch.linalg.qr(table @ torch.linalg.qr(turned @ basis)[0])[0]
    inner, values, _ = torch.linalg.svd((turned @ basis).T, full_matrices=False)
    found: Tensor = (basis @ inner)[:, :dimensions] * values[:dimensions].sqrt()
    return found


_CANDIDATES = 64  # sparsemax keeps 22 on average (10 MB of real text); beyond 64 lies next to nothing
_CHUNK_TOKENS = 512


def focus_mixture(vectors: StaticVectors, first: int, base_token_ids: Sequence[Sequence[int]]) -> Mixture:
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
    shares = [even_shares(token) for token in base_token_ids]
    if not len(known):
        return mixture(shares)
    table = vectors.vectors[old]
    for ids, some in zip(
        vectors.ids[new].split(_CHUNK_TOKENS), vectors.vectors[new].split(_CHUNK_TOKENS), strict=True
    ):
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
