"""How far one step moves the weights: the length of the update as a share of theirs.

About 1e-3 is usual for a healthy run; far above it a run breaks, far below it nothing is learned.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer

from ekle.model.spread import own_rows
from ekle.training.watching.meter import Reduce

_NUMBERS = 4096  # of each parameter that are looked at; all of them would take as much memory as the weights


class Movement:
    """Looks at a step from both sides, group by group of the optimiser.

    Args:
        optimizer: its groups have a `name`.
        reduce: sums a tensor over all processes.
    """

    def __init__(self, optimizer: Optimizer, reduce: Reduce) -> None:
        self._optimizer, self._reduce = optimizer, reduce
        self._before: dict[str, list[Tensor]] = {}

    def begin(self) -> None:
        """Note where the weights are."""
        self._before = {group["name"]: _sampled(group["params"]) for group in self._optimizer.param_groups}

    def figures(self) -> dict[str, float]:
        """`update_to_weight_NAME` of each group: lengths over evenly spread numbers of each parameter.

        A group whose weights were all 0 has none.
        """
        found = {}
        for group in self._optimizer.param_groups:
            before, after = self._before[group["name"]], _sampled(group["params"])
            squares = [
                torch.stack([(b - a).square().sum(), b.square().sum()]).double()
                for b, a in zip(before, after, strict=True)
            ]
            moved, length = self._reduce(torch.stack(squares).sum(dim=0)).sqrt().tolist()
            if length:
                found[f"update_to_weight_{group['name']}"] = moved / length
        return found


def _sampled(parameters: list[Tensor]) -> list[Tensor]:
    """Copies of at most `_NUMBERS` evenly spread own numbers of each parameter, in float32."""
    flat = [own_rows(parameter).detach().flatten() for parameter in parameters]
    return [numbers[:: len(numbers) // _NUMBERS + 1].to(torch.float32, copy=True) for numbers in flat]
