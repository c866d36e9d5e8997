"""New rows as a shared linear map of features, plus a prior: the smallest of hypernetworks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MappedRows(nn.Module):
    """The new rows of one matrix: `start + X map + bias + log_share * weight * direction`.

    `X` are the features of the tokens, (N, F D). The map (F D, D) is shared by all tokens, so each of them
    profits from every text, whether it occurs there or not. It starts at 0: the rows start at `start`, the
    closed form. Of each token alone there is one number, the `weight` of its prior.

    Args:
        start: (N, D) float32, without the prior.
        features: F tensors (N, D).
        log_shares: (N,), see `ekle.extension.rules.mapped.evidence.log_shares`.
        direction: (D,) what a bias is written with (`unit_direction`); None leaves the prior out.
        weight: of the prior at the start.
        scale: root mean square of the base's rows; the features are brought to it.
        dtype: precision of the products.
    """

    def __init__(
        self,
        start: Tensor,
        features: Sequence[Tensor],
        log_shares: Tensor,
        direction: Tensor | None,
        weight: float,
        scale: float,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        inputs = torch.cat([part * (scale * part.square().mean().rsqrt()) for part in features], dim=1)
        self._start, self._inputs, self._scale = start, inputs.to(dtype), scale
        self._direction, self._log_shares = direction, log_shares.to(start.device)
        self.map = nn.Parameter(torch.zeros(inputs.shape[1], start.shape[1], device=start.device))
        self.bias = nn.Parameter(torch.zeros(start.shape[1], device=start.device))
        self.prior = nn.Parameter(torch.full((len(start),), weight, device=start.device))

    def forward(self) -> Tensor:
        """The rows (N, D) in float32."""
        mapped = (self._inputs @ self.map.to(self._inputs.dtype)).float()
        rows = self._start + mapped + self.bias * self._scale
        if self._direction is None:
            return rows
        return rows + (self._log_shares * self.prior)[:, None] * self._direction
