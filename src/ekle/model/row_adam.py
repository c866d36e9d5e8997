"""Adam over the rows of a matrix, each row at its own pace."""

import torch
from torch import Tensor


class RowAdam:
    """Adam (Kingma and Ba 2015) that moves only the rows which a step uses.

    Plain Adam moves a row on long after its token was seen, and its first step on a token that comes up late
    is three times too long, because the bias is corrected for the step of the run and not of the row. Here
    every row counts its own steps.

    Args:
        rows: (n, width) in float32, changed in place.
        betas: decay of the averages.
    """

    def __init__(self, rows: Tensor, betas: tuple[float, float] = (0.9, 0.95)) -> None:
        self._rows, self._betas = rows, betas
        self.state = {
            "first": torch.zeros_like(rows),
            "second": torch.zeros_like(rows),
            "steps": torch.zeros(len(rows), 1, device=rows.device),
        }

    @torch.no_grad()
    def step(self, gradient: Tensor, used: Tensor, rate: float) -> None:
        """Move the rows `used` (k,), each named once, against `gradient` (n, width) by about `rate`."""
        beta1, beta2 = self._betas
        here = gradient[used]
        first = self.state["first"][used].lerp_(here, 1 - beta1)
        second = self.state["second"][used].lerp_(here.square(), 1 - beta2)
        steps = self.state["steps"][used] + 1
        self.state["first"][used], self.state["second"][used], self.state["steps"][used] = (
            first,
            second,
            steps,
        )
        spread = (second / (1 - beta2**steps)).sqrt_().add_(1e-12)
        self._rows[used] -= rate * first / (1 - beta1**steps) / spread
