"""New rows in closed form: ridge regression on base tokens that are taken as if they were new."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ekle.model.layers.row_features import base_token_features

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


def features(rows: Tensor, tokens: Tokens) -> list[Tensor]:
    """What the closed form maps to a new row, each (n, D) float32 on the device of `rows` (V, D).

    They are `ekle.model.layers.row_features.base_token_features`, and the readings.
    """
    return [*base_token_features(rows, tokens.base_tokens), *tokens.readings.to(rows.device)]


def unit_direction(states: Tensor) -> Tensor:
    """u (D,) with `states @ u` close to 1: a row's share of u is a bias of its logit.

    Args:
        states: (T, D) last hidden states of the base over text, in float32.
    """
    return ridge(states, torch.ones(len(states), 1, device=states.device), _STATES_RIDGE)[:, 0]


def separating_direction(own: Tensor, other: Tensor) -> Tensor:
    """w (D,) with `own @ w` close to 0 and `other @ w` close to 1.

    A row's share of w is a bias of its logit in texts like those of `other` alone.

    Args:
        own: (T, D) last hidden states of the base over text in the language to learn, in float32.
        other: (S, D) over text in other languages.
    """
    states = torch.cat([own, other])
    wanted = torch.zeros(len(states), 1, device=states.device)
    wanted[len(own) :] = 1
    return ridge(states, wanted, _STATES_RIDGE)[:, 0]


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
