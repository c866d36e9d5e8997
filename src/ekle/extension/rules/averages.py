"""The rules that need the base rows alone: their mean or a sample around it, or means of base tokens.

`mean`, `statistical`, `subword`, `length_weighted`, `first_piece`, `last_piece`, `asymmetric`.

The base tokens of a new token are the tokens that the base's tokenizer gives for its text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.model.checkpoint.weights import EmbeddingMatrix, rows_per_chunk
from ekle.model.row_statistics import RowStatistics


@dataclass(frozen=True)
class Mixture:
    """Weighted means of base rows: new row i takes the next `lengths[i]` entries of `ids` and `weights`.

    The weights of a row are positive and sum to 1, so it is in the convex hull of the base's rows. Its logit
    is never above the highest of theirs, so greedy decoding gives what the base gives (Mundra et al. 2024,
    "An Empirical Comparison of Vocabulary Expansion and Initialization Approaches for Language Models").
    """

    ids: Tensor
    weights: Tensor
    lengths: Tensor


def mixture(shares: Iterable[Mapping[int, float]]) -> Mixture:
    """The mixture of one mapping from base id to positive share per new row, scaled to sum to 1."""
    ids: list[int] = []
    weights: list[float] = []
    lengths: list[int] = []
    for share in shares:
        total = sum(share.values())
        ids += share
        weights += [value / total for value in share.values()]
        lengths.append(len(share))
    return Mixture(
        torch.tensor(ids, dtype=torch.long), torch.tensor(weights), torch.tensor(lengths, dtype=torch.long)
    )


def even_shares(base_token_ids: Sequence[int]) -> dict[int, float]:
    """The same share for each of `base_token_ids`; an id that occurs twice gets two."""
    shares: dict[int, float] = {}
    for base_id in base_token_ids:
        shares[base_id] = shares.get(base_id, 0.0) + 1 / len(base_token_ids)
    return shares


def mix(rows: EmbeddingMatrix, mixture: Mixture) -> Tensor:
    """The new rows (new tokens, width) in float32; at most 64 MB of base rows are in memory."""
    result = torch.zeros(len(mixture.lengths), rows.width)
    new_row = torch.repeat_interleave(torch.arange(len(mixture.lengths)), mixture.lengths)
    step = rows_per_chunk(rows.width)
    for start in range(0, len(new_row), step):
        chunk = slice(start, start + step)
        result.index_add_(0, new_row[chunk], rows.take(mixture.ids[chunk]) * mixture.weights[chunk, None])
    return result


def mean_rows(statistics: RowStatistics, count: int) -> Tensor:
    """`count` new rows (count, width) in float32, all equal: the mean of the base rows in use.

    The usual baseline (Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models"). It
    bounds the probability that new tokens take from old ones, but tells nothing about any token. Costs one
    pass over the matrix; the same for input and output embeddings.
    """
    return statistics.mean.expand(count, -1).clone()


def statistical_rows(statistics: RowStatistics, count: int, generator: torch.Generator) -> Tensor:
    """`count` new rows (count, width) in float32: mean plus standard deviation times normal noise.

    The guide calls this `statistical`. Hewitt (2021) samples the same with a full covariance; here it is
    diagonal, because a full one of width 4,096 takes 17 million operations per row and differs little in
    norm. The rows differ, so they can learn different things, but none has to do with its token. Costs one
    pass over the matrix.

    Args:
        statistics: mean and standard deviation (width,) of the base rows in use.
        count: number of new tokens.
        generator: source of the noise; the same seed gives the same rows.
    """
    noise = torch.randn(count, len(statistics.mean), generator=generator)
    return noise.mul_(statistics.std).add_(statistics.mean)


def subword_rows(rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is the mean of `rows[base_token_ids[i]]`.

    So a token starts near the meaning of its parts (Koto et al. 2021, "IndoBERTweet", section 3). Reads one
    row per base token; the same for input and output embeddings.
    """
    return mix(rows, mixture(even_shares(token) for token in base_token_ids))


def length_weighted_rows(
    rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]], sizes: Mapping[int, int]
) -> Tensor:
    """New rows (new tokens, width) in float32: the mean of `rows[base_token_ids[i]]`, weighted by length.

    In " kitap" + "lar" + "ı" the last base token occurs in every language and means next to nothing, while
    the first carries most of the meaning. `subword` gives each a third. Ours; reads one row per base token.

    Args:
        rows: base rows, of input or output embeddings.
        base_token_ids: ids of the base tokens of each new token, at least one.
        sizes: bytes of UTF-8 that a base token stands for, by id; 1 for ids that are missing.
    """
    return mix(rows, mixture(_shares(token, sizes) for token in base_token_ids))


def _shares(base_token_ids: Sequence[int], sizes: Mapping[int, int]) -> dict[int, float]:
    shares: dict[int, float] = {}
    for base_id in base_token_ids:
        shares[base_id] = shares.get(base_id, 0.0) + max(sizes.get(base_id, 1), 1)
    return shares


def first_base_token_rows(rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is `rows[base_token_ids[i][0]]`; for output embeddings.

    Where the base would write the token's text, it gives its probability to the first base token. So the
    output embedding of that token fits the same hidden states. Nakash et al. (2025, "AdaptiVocab: Enhancing
    LLM Efficiency in Focused Domains through Lightweight Vocabulary Adaptation", section 3.3) mix the rows of
    all base tokens with weights that fall by e^2 from one to the next; here the first has all the weight.
    Reads one base row per new token.
    """
    return rows.take(torch.tensor([token[0] for token in base_token_ids], dtype=torch.long))


def last_base_token_rows(rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is `rows[base_token_ids[i][-1]]`; for input embeddings.

    The base predicts what follows the token's text from its last base token, so the layers can continue from
    that row. Nakash et al. (2025, "AdaptiVocab: Enhancing LLM Efficiency in Focused Domains through
    Lightweight Vocabulary Adaptation", section 3.3) mix the rows of all base tokens with weights that grow by
    e^2 from one to the next; here the last has all the weight. Reads one base row per new token.
    """
    return rows.take(torch.tensor([token[-1] for token in base_token_ids], dtype=torch.long))


def asymmetric_input_rows(
    rows: EmbeddingMatrix, base_token_ids: Sequence[Sequence[int]], statistics: RowStatistics
) -> Tensor:
    """New input embeddings (new tokens, width) in float32: the mean of the base tokens at the median norm.

    The mean of n unrelated rows is about 1 / sqrt(n) as long as they are. The first layer's norm corrects
    that, but the residual stream keeps it, so a short row counts for less there than any row that the layers
    have seen. Only input embeddings are rescaled: the norm of an output embedding is part of its logit. Ours;
    reads one row per base token, after one pass over the matrix for the median norm of the rows in use.
    """
    new = subword_rows(rows, base_token_ids)
    return new.mul_(statistics.median_norm / new.norm(dim=1, keepdim=True).clamp(min=1e-12))
