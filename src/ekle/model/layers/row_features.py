"""Features of new tokens: what their base tokens' embedding rows say, as the input of a linear map."""

from collections.abc import Sequence

import torch
from torch import Tensor


def mean_of_base_tokens(rows: Tensor, base_tokens: Sequence[Sequence[int]]) -> Tensor:
    """(n, D) float32: the mean of the rows (V, D) of each token's base tokens."""
    lengths = torch.tensor([len(ids) for ids in base_tokens])
    flat = torch.tensor([number for ids in base_tokens for number in ids])
    places = torch.repeat_interleave(torch.arange(len(lengths)), lengths).to(rows.device)
    total = torch.zeros(len(lengths), rows.shape[1], device=rows.device)
    total.index_add_(0, places, rows[flat.to(rows.device)].float())
    return total / lengths.to(rows.device)[:, None]


def base_token_features(rows: Tensor, base_tokens: Sequence[Sequence[int]]) -> list[Tensor]:
    """Mean, last and first of the rows (V, D) of a token's base tokens, each (n, D) float32.

    Args:
        rows: of the base.
        base_tokens: ids of the base tokens that each of n tokens consists of, at least one.
    """
    ends = [torch.tensor([ids[place] for ids in base_tokens]) for place in (-1, 0)]
    return [mean_of_base_tokens(rows, base_tokens), *(rows[ids.to(rows.device)].float() for ids in ends)]


def joined(features: Sequence[Tensor], scale: float, dtype: torch.dtype) -> Tensor:
    """Features side by side (n, F), each brought to one root mean square.

    Args:
        features: tensors (n, width) of any width.
        scale: that root mean square: the one of the base's rows.
        dtype: of the result.
    """
    parts = [part * (scale * part.square().mean().clamp(min=1e-12).rsqrt()) for part in features]
    return torch.cat(parts, dim=1).to(dtype)
