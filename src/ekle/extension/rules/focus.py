"""The rule `focus`: new rows are weighted means of the rows of base tokens with similar meaning.

Meaning comes from static vectors of the tokens in the user's text: positive pointwise mutual information
(PPMI) within a window, and its leading singular vectors. They are as good as skip-gram if contexts are
smoothed by the power 0.75 and vectors are U sqrt(S) (Levy, Goldberg and Dagan 2015, "Improving Distributional
Similarity with Lessons Learned from Word Embeddings"). This needs only NumPy and PyTorch and gives the same
vectors each time. fastText, which FOCUS uses, is archived and needs a compiler, and its result depends on the
order of its threads.
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
_CHUNK = 500_000  # tokens whose pairs are sorted at a time: 5 million pairs, 40 MB
_OVERSAMPLED = 10  # extra directions, as is usual for randomised decompositions
_ITERATIONS = 4  # of the power method

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
        documents: token ids of each text; pairs do not cross its end.
        window: largest distance of two tokens; a pair at distance d counts 1 / d.
        min_count: rarer tokens are left out before pairs are counted.
        dimensions: length of a vector; less if the text has fewer different tokens.
        seed: seed of the randomised decomposition (Halko, Martinsson and Tropp 2011).

    Costs sorting 2 `window` pairs per token; the decomposition takes seconds. Empty if no token is frequent
    enough.
    """
    flat, document = _flatten(documents)
    ids, places = _frequent(flat, min_count)
    kept = places >= 0
    counts = _pairs(places[kept], document[kept], len(ids), window)
    if not len(counts[0]):
        return StaticVectors(torch.empty(0, dtype=torch.long), torch.empty(0, dimensions))
    vectors = _leading(_ppmi(*counts, len(ids)), min(dimensions, len(ids)), seed)
    nonzero = vectors.norm(dim=1) > 0
    vectors = vectors[nonzero] / vectors[nonzero].norm(dim=1, keepdim=True)
    return StaticVectors(torch.from_numpy(ids)[nonzero], vectors)


def _flatten(documents: Iterable[Sequence[int]]) -> tuple[Ids, Ids]:
    """All ids in one array, and the number of the document of each."""
    arrays = [np.asarray(ids, dtype=np.int64) for ids in documents]
    lengths = [len(array) for array in arrays]
    flat = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64)
    return flat, np.repeat(np.arange(len(arrays)), lengths)


def _frequent(flat: Ids, min_count: int) -> tuple[Ids, Ids]:
    """The ids that occur often enough, and `flat` as places among them; -1 for other ids."""
    ids, places, counts = np.unique(flat, return_inverse=True, return_counts=True)
    kept = counts >= min_count
    new_places = np.where(kept, np.cumsum(kept) - 1, -1)
    return ids[kept], new_places[places]


def _pairs(ids: Ids, document: Ids, size: int, window: int) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Pairs within the window as `left * size + right`, ascending, in both directions; and their weights."""
    keys: Ids = np.empty(0, dtype=np.int64)
    weights: npt.NDArray[np.float64] = np.empty(0)
    for start in range(0, len(ids), _CHUNK):
        stop = min(start + _CHUNK, len(ids))
        all_keys, all_weights = [keys], [weights]
        for distance in range(1, window + 1):
            left = np.arange(start, min(stop, len(ids) - distance))
            left = left[document[left] == document[left + distance]]
            a, b = ids[left], ids[left + distance]
            all_keys += [a * size + b, b * size + a]
            all_weights.append(np.full(2 * len(left), 1 / distance))
        keys, places = np.unique(np.concatenate(all_keys), return_inverse=True)
        weights = np.bincount(places, np.concatenate(all_weights), len(keys)).astype(np.float64)
    return keys, weights


def _ppmi(keys: Ids, weights: npt.NDArray[np.float64], size: int) -> Tensor:
    """Positive pointwise mutual information as a sparse matrix (size, size)."""
    left, right = keys // size, keys % size
    total = np.bincount(left, weights=weights, minlength=size)
    context = total**_SMOOTHING
    value = np.log(weights * context.sum() / (total[left] * context[right]))
    positive = value > 0
    places = torch.from_numpy(np.stack([left[positive], right[positive]]))
    values = torch.from_numpy(value[positive]).float()
    return torch.sparse_coo_tensor(places, values, (size, size), check_invariants=True).coalesce()


def _leading(matrix: Tensor, dimensions: int, seed: int) -> Tensor:
    """U sqrt(S) of the leading singular values of a sparse matrix, (rows, dimensions)."""
    width = min(dimensions + _OVERSAMPLED, matrix.shape[0])
    with warnings.catch_warnings():  # the format is in beta, and halves the time
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        matrix, transposed = matrix.to_sparse_csr(), matrix.t().to_sparse_csr()
    start = torch.randn(matrix.shape[0], width, generator=torch.Generator().manual_seed(seed))
    basis = torch.linalg.qr(matrix @ start)[0]
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(matrix @ torch.linalg.qr(transposed @ basis)[0])[0]
    inner, values, _ = torch.linalg.svd((transposed @ basis).T, full_matrices=False)
    found: Tensor = (basis @ inner)[:, :dimensions] * values[:dimensions].sqrt()
    return found


_CANDIDATES = 64  # sparsemax keeps 22 on average (10 MB of real text), and hardly any beyond 64
_CHUNK_TOKENS = 512


def focus_mixture(
    vectors: StaticVectors, first_new_id: int, base_token_ids: Sequence[Sequence[int]]
) -> Mixture:
    """The base rows that each new row mixes, for input and output embeddings; see `mix`.

    After Dobler and de Melo (2023, "FOCUS: Effective Embedding Initialization for Monolingual
    Specialization of Multilingual Models"): new tokens are convex combinations of the tokens that old and
    new vocabulary share (here all base tokens), weighted by sparsemax over the cosines of static vectors of
    the user's text (`static_vectors`). A token too rare for a vector is the mean of its base tokens.

    Args:
        vectors: vectors of base and new tokens, from text that the extended tokenizer encoded.
        first_new_id: id of the first new token.
        base_token_ids: ids of the base tokens of each new token.

    Costs one product of the new vectors with the base vectors.
    """
    base, new = vectors.ids < first_new_id, vectors.ids >= first_new_id
    base_ids = vectors.ids[base]
    shares = [even_shares(token) for token in base_token_ids]
    if not len(base_ids):
        return mixture(shares)
    base_vectors = vectors.vectors[base]
    for ids, new_vectors in zip(
        vectors.ids[new].split(_CHUNK_TOKENS), vectors.vectors[new].split(_CHUNK_TOKENS), strict=True
    ):
        cosines, places = (new_vectors @ base_vectors.T).topk(min(_CANDIDATES, len(base_ids)), dim=1)
        for number, weights, nearest in zip(ids.tolist(), sparsemax(cosines), base_ids[places], strict=True):
            kept = weights > 0
            shares[number - first_new_id] = dict(
                zip(nearest[kept].tolist(), weights[kept].tolist(), strict=True)
            )
    return mixture(shares)


def sparsemax(scores: Tensor) -> Tensor:
    """The point of the simplex nearest to each row of `scores` (n, k), which must descend; most entries are
    0.

    Martins and Astudillo (2016), "From Softmax to Sparsemax", algorithm 1.
    """
    place = torch.arange(1, scores.shape[1] + 1)
    sums = scores.cumsum(dim=1)
    size = (1 + place * scores > sums).sum(dim=1, keepdim=True)
    threshold = (sums.gather(1, size - 1) - 1) / size
    return (scores - threshold).clamp(min=0)
