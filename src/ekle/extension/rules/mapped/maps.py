"""New rows as a shared linear map of features: the smallest of hypernetworks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ekle.model.layers.row_features import joined


class MappedRows(nn.Module):
    """The new rows of one matrix: `start + X map`.

    `X` (N, F) are features of the tokens. The map (F, D) is shared by all of them, so that each token profits
    from every text, whether it occurs there or not. It starts at 0: the rows start at `start`, the closed
    form. No token has a number of its own to learn: an optimiser would move those of tokens that the text
    does not show, because the softmax pushes them down at every step (docs/log.md).

    Args:
        start: (N, D) float32.
        features: tensors (N, width) of any width; all are brought to one root mean square.
        scale: that root mean square: the one of the base's rows.
        dtype: precision of the products.
    """

    def __init__(self, start: Tensor, features: Sequence[Tensor], scale: float, dtype: torch.dtype) -> None:
        super().__init__()
        self._start, self._inputs = start, joined(features, scale, dtype)
        self.map = nn.Parameter(torch.zeros(self._inputs.shape[1], start.shape[1], device=start.device))

    @property
    def features(self) -> int:
        """F, how many numbers a row is mapped from."""
        return self.map.shape[0]

    def forward(self) -> Tensor:
        """The rows (N, D) in float32."""
        return self._start + (self._inputs @ self.map.to(self._inputs.dtype)).float()
