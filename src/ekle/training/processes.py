"""What the processes of one run tell each other besides gradients."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """The processes that torchrun started; one, where it did not.

    Args:
        accelerator: accelerate's, as the Trainer made it.
    """

    accelerator: Any

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        summed: Tensor = self.accelerator.reduce(values, "sum")
        return summed

    def least(self, number: int) -> int:
        """The least that any process hands in."""
        if self.accelerator.num_processes == 1:
            return number
        return int(self.accelerator.gather(torch.tensor([number], device=self.accelerator.device)).min())

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in some process, so that all of them do the same."""
        if self.accelerator.num_processes == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=self.accelerator.device)).item())
