"""New rows in closed form: ridge regression on base tokens that are taken as if they were new."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_STATES_RIDGE = 1e-3
"""Of `unit_direction`, as a share of the mean eigenvalue; states are many, so little is needed."""


@dataclass(frozen=True)
class Tokens:
    """Tokens as the closed form sees them.

    Attributes:
        base_tokens: ids of the base tokens that each of n tokens consists of.
        readings: (depths, n, D) the model's own reading (`ekle.extension.rules.mapped.evidence.readings`).
    """

    base_tokens: Sequence[Sequence[int]]
    readings: Tensor

    @property
    def first(self) -> Tensor:
        """(n,) id of the first base token."""
        return torch.tensor([ids[0] for ids in self.base_tokens])

    @property
    def last(self) -> Tensor:
        """(n,) id of the last base token."""
        return torch.tensor([ids[-1] for ids in self.base_tokens])


def mean_of_base_tokens(rows: Tensor, tokens: Tokens) -> Tensor:
    """(n, D) float32: the mean of the rows (V, D) of each token's base tokens."""
    lengths = torch.tensor([len(ids) for ids in tokens.base_tokens])
    flat = torch.tensor([number for ids in tokens.base_tokens for number in ids])
    places = torch.repeat_interleave(torch.arange(len(lengths)), lengths).to(rows.device)
    total = torch.zeros(len(lengths), rows.shape[1], device=rows.device)
    total.index_add_(0, places, rows[flat.to(rows.device)].float())
    return total / lengths.to(rows.device)[:, None]


def base_token_features(rows: Tensor, tokens: Tokens) -> list[Tensor]:
    """Mean, last and first of the rows (V, D) of a token's base tokens, each (n, D) float32."""
    ends = [rows[ids.to(rows.device)].float() for ids in (tokens.last, tokens.first)]
    return [mean_of_base_tokens(rows, tokens), *ends]


def features(rows: Tensor, tokens: Tokens) -> list[Tensor]:
    """What the closed form maps to a new row, each (n, D) float32 on the device of `rows` (V, D).

    They are `base_token_features`, and the readings.
    """
    return [*base_token_features(rows, tokens), *tokens.readings.to(rows.device)]


def unit_direction(states: Tensor) -> Tensor:
    """u (D,) with `states @ u` close to 1: a row's share of u is a bias of its logit.

    Args:
        states: (T, D) last hidden states of the base over text, in float32.
    """
    return ridge(states, torch.ones(len(states), 1, device=states.device), _STATES_RIDGE)[:, 0]


def ridge(inputs: Tensor, targets: Tensor, strength: float) -> Tensor:
    """W (d, k) that minimises |inputs W - targets|^2 + lambda |W|^2.

    Args:
        inputs: (n, d) in float32.
        targets: (n, k).
        strength: lambda as a share of the mean eigenvalue of inputs' inputs.
    """
    count, width = inputs.shape
    penalty = strength * float(inputs.square().sum()) / width
    if count < width:  # the same W through a smaller system
        gram = inputs @ inputs.T
        gram.diagonal().add_(penalty)
        dual: Tensor = torch.linalg.solve(gram, targets)
        return inputs.T @ dual
    gram = inputs.T @ inputs
    gram.diagonal().add_(penalty)
    weights: Tensor = torch.linalg.solve(gram, inputs.T @ targets)
    return weights


def mapped_start(known: Sequence[Tensor], wanted: Tensor, new: Sequence[Tensor], strength: float) -> Tensor:
    """Rows (N, D) of new tokens by the linear map that fits known rows best.

    Args:
        known: `features` of n known tokens.
        wanted: (n, D) their rows in the base.
        new: `features` of the N new tokens.
        strength: of the ridge.
    """
    scales = [part.square().mean().rsqrt() for part in known]
    inputs = torch.cat([part * scale for part, scale in zip(known, scales, strict=True)], dim=1)
    mean_input, mean_row = inputs.mean(dim=0), wanted.mean(dim=0)
    weights = ridge(inputs - mean_input, wanted - mean_row, strength)
    found = torch.cat([part * scale for part, scale in zip(new, scales, strict=True)], dim=1)
    return (found - mean_input) @ weights + mean_row
