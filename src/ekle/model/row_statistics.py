"""Statistics of embedding rows: where new rows start, and how far one step moves them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.bpe.placeholders import is_placeholder
from ekle.model.checkpoint.weights import EmbeddingMatrix, row_chunks


@dataclass(frozen=True)
class RowStatistics:
    """`mean` and `std` (width,) of each dimension, and the `median_norm` of a row."""

    mean: Tensor
    std: Tensor
    median_norm: float

    @property
    def rms(self) -> float:
        """Root mean square of the numbers in the rows."""
        return float((self.mean.square() + self.std.square()).mean().sqrt())


def row_statistics(rows: EmbeddingMatrix, used: Tensor) -> RowStatistics:
    """Statistics of `rows[used]`, in float64 by chunks: one pass over the matrix, 64 MB in memory.

    Args:
        rows: input or output embeddings.
        used: ids (n,) of the rows that count; see `used_ids`.
    """
    total = torch.zeros(rows.width, dtype=torch.float64)
    squares = torch.zeros_like(total)
    norms = []
    for chunk in row_chunks(rows, used):
        total += chunk.sum(dim=0, dtype=torch.float64)
        squares += chunk.square().sum(dim=0, dtype=torch.float64)
        norms.append(chunk.norm(dim=1))
    mean = total / len(used)
    variance = (squares / len(used) - mean.square()).clamp(min=0)
    return RowStatistics(mean.float(), variance.sqrt().float(), float(torch.cat(norms).median()))


def used_ids(ids_by_token: Mapping[str, int], first_new_id: int) -> Tensor:
    """Ids (n,), ascending, of the base rows that have a token; the others (267 in Qwen3) were never trained.

    Args:
        ids_by_token: the extended tokenizer's vocabulary, added tokens included.
        first_new_id: id of the first new token.
    """
    used = (number for token, number in ids_by_token.items() if not is_placeholder(token, number))
    return torch.tensor(sorted(number for number in used if number < first_new_id))
