"""The rules that average base rows: mean, subword, length_weighted, first_piece, last_piece, asymmetric."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.extension.rules.statistics import RowStatistics
from ekle.model.checkpoint.weights import EmbeddingMatrix, rows_per_chunk


@dataclass(frozen=True)
class Mixture:
    """Which base rows a new row is made of: new row i takes the next `lengths[i]` of `ids` and `weights`.

    The weights of a row sum to 1 and none is negative, so it lies in the convex hull of the base's rows:
    its logit is never above the highest of theirs, and greedy decoding of the base is as it was (Mundra et
    al. 2024, "An Empirical Comparison of Vocabulary Expansion and Initialization Approaches for Language
    Models").
    """

    ids: Tensor
    weights: Tensor
    lengths: Tensor


def mixture(shares: Iterable[Mapping[int, float]]) -> Mixture:
    """From one mapping of base id to positive share for each new row; shares are scaled to sum to 1."""
    ids: list[int] = []
    weights: list[float] = []
    lengths: list[int] = []
    for share in shares:
        total = sum(share.values())
        ids += share
        weights += [part / total for part in share.values()]
        lengths.append(len(share))
    return Mixture(
        torch.tensor(ids, dtype=torch.long), torch.tensor(weights), torch.tensor(lengths, dtype=torch.long)
    )


def even_shares(base_token_ids: Sequence[int]) -> dict[int, float]:
    """The same share for each of `pieces`; one that stands there twice has two."""
    shares: dict[int, float] = {}
    for base_id in base_token_ids:
        shares[base_id] = shares.get(base_id, 0.0) + 1 / len(base_token_ids)
    return shares


def mix(rows: EmbeddingMatrix, parts: Mixture) -> Tensor:
    """The new rows (new tokens, width) in float32; holds at most 64 MB of base rows beside them."""
    result = torch.zeros(len(parts.lengths), rows.width)
    owner = torch.repeat_interleave(torch.arange(len(parts.lengths)), parts.lengths)
    step = rows_per_chunk(rows.width)
    for start in range(0, len(owner), step):
        here = slice(start, start + step)
        result.index_add_(0, owner[here], rows.take(parts.ids[here]) * parts.weights[here, None])
    return result


def mean_rows(statistics: RowStatistics, count: int) -> Tensor:
    """`count` new rows (count, width) in float32, all equal: the mean of the base rows in use.

    The customary baseline (Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language
    Models"). It bounds what new output rows take from old ones, but says nothing about any token.
    Costs one pass over the matrix; the same at both ends of the model.
    """
    return statistics.mean.expand(count, -1).clone()


def subword_rows(rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is the mean of `rows[pieces[i]]`.

    The token starts near the meaning of its parts (Koto et al. 2021, "IndoBERTweet", section 3). Reads one
    base row a piece; the same at both ends of the model.
    """
    return mix(rows, mixture(even_shares(token) for token in base_token_ids))


def length_weighted_rows(
    rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]], sizes: Mapping[int, int]
) -> Tensor:
    """New rows (new tokens, width) in float32: the mean of `rows[pieces[i]]`, weighted by length.

    In " kitap" + "lar" + "ı" the last piece occurs in every language and says next to nothing; the
    first says nearly all. `subword` gives both a third. Ours; reads one base row a piece.

    Args:
        rows: base rows of either end.
        pieces: base ids that each new token replaces, at least one a token.
        sizes: bytes of UTF-8 that a base id stands for; 1 where it is absent.
    """
    return mix(rows, mixture(_shares(token, sizes) for token in base_token_ids))


def _shares(base_token_ids: Sequence[int], sizes: Mapping[int, int]) -> dict[int, float]:
    shares: dict[int, float] = {}
    for base_id in base_token_ids:
        shares[base_id] = shares.get(base_id, 0.0) + max(sizes.get(base_id, 1), 1)
    return shares


def first_base_token_rows(rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is `rows[pieces[i][0]]`; meant for output rows.

    Where the base wants to write the token's text, it puts its mass on the first piece, so the output
    row that answers to the same hidden states is that piece's. Nakash et al. (2025, "AdaptiVocab: Enhancing
    LLM Efficiency in Focused Domains through Lightweight Vocabulary Adaptation", section 3.3) mix the pieces'
    rows with weights that fall by e^2 from piece to piece; here all weight is on the first. Reads one base
    row a new token.
    """
    return rows.take(torch.tensor([token[0] for token in base_token_ids], dtype=torch.long))


def last_base_token_rows(rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is `rows[pieces[i][-1]]`; meant for input rows.

    The base predicts what follows the token's text at its last piece, so the layers above know how to go
    on from that row. Nakash et al. (2025, "AdaptiVocab: Enhancing LLM Efficiency in Focused Domains through
    Lightweight Vocabulary Adaptation", section 3.3) mix the pieces' rows with weights that grow by e^2 from
    piece to piece; here all weight is on the last. Reads one base row a new token.
    """
    return rows.take(torch.tensor([token[-1] for token in base_token_ids], dtype=torch.long))


def asymmetric_input_rows(
    rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]], statistics: RowStatistics
) -> Tensor:
    """New input rows (new tokens, width) in float32: the mean of the pieces at the median norm in use.

    The mean of n unrelated rows is about 1 / sqrt(n) as long as they are. The first layer's norm undoes
    that, but the residual stream keeps it, so a short row speaks more softly than any the layers have
    heard. Rescaling is for input rows only: the length of an output row is a part of its logit. Ours;
    reads one base row a piece, after one pass over the matrix for the median.
    """
    new = subword_rows(rows, base_token_ids)
    return new.mul_(statistics.median_norm / new.norm(dim=1, keepdim=True).clamp(min=1e-12))
