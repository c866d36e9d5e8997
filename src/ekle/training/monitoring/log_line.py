"""The training log's line about a step, and the update-to-weight ratio in it.

The ratio is the norm of a step's update over the norm of the weights. About 1e-3 is healthy. Far above it a
run breaks, far below it nothing is learned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ekle.model.distributed import full_tensor, local_shard
from ekle.training.monitoring.meter import Reduce
from ekle.training.optimizers.make import learning_rates
from ekle.training.optimizers.sophia import Sophia
from ekle.training.run_state import RunState

_NUMBERS = 4096  # sampled from each parameter; a copy of all would take as much memory as the weights


class UpdateRatio:
    """Compares weights before and after a step, group by group.

    Args:
        groups: the weights that the optimiser moves, by the name of their group.
        reduce: sums a tensor over all processes.
    """

    def __init__(self, groups: Mapping[str, Sequence[Tensor]], reduce: Reduce) -> None:
        self._groups, self._reduce = groups, reduce
        self._before: dict[str, list[Tensor]] = {}

    def begin(self) -> None:
        """Copy a sample of the weights before the step."""
        self._before = {name: _sampled(weights) for name, weights in self._groups.items()}

    def figures(self) -> dict[str, float]:
        """`update_to_weight_NAME` of each group, from evenly spaced numbers of each parameter.

        A group whose weights were all 0 has no ratio.
        """
        found = {}
        for name, weights in self._groups.items():
            before, after = self._before[name], _sampled(weights)
            squares = [
                torch.stack([(b - a).square().sum(), b.square().sum()]).double()
                for b, a in zip(before, after, strict=True)
            ]
            moved, length = self._reduce(torch.stack(squares).sum(dim=0)).sqrt().tolist()
            if length:
                found[f"update_to_weight_{name}"] = moved / length
        return found


def _sampled(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Copies of at most `_NUMBERS` evenly spaced numbers of each parameter's local shard, in float32."""
    flat = [local_shard(parameter).detach().flatten() for parameter in parameters]
    return [numbers[:: len(numbers) // _NUMBERS + 1].to(torch.float32, copy=True) for numbers in flat]


class LogLine:
    """Collects the figures of a step, from its beginning to its end.

    Args:
        state: the run.
    """

    def __init__(self, state: RunState) -> None:
        self._state, self._reduce = state, state.processes.sum
        self._step: dict[str, Any] = {}
        self._movement = UpdateRatio(state.weights_by_group(), self._reduce)

    def is_due(self, step: int) -> bool:
        """Whether step number `step` (from 1) gets a line."""
        settings = self._state.setup.settings
        return step >= settings.steps or step % settings.log_steps == 0

    def begin_step(self) -> None:
        """Note the step's learning rates and, if it gets a line, the weights before it."""
        self._step = learning_rates(self._state.optimizer)
        if self.is_due(self._state.step + 1):
            self._movement.begin()

    def record_gradient_norm(self, norm: Tensor) -> None:
        """Note the norm of the step's gradient before clipping."""
        self._step["grad_norm"] = norm.item()

    def figures(self) -> dict[str, Any]:
        """The figures of the step that ended; the sums of the meter start again at 0."""
        state = self._state
        line = {
            **state.meter.read(self._reduce),
            **state.leak_detector.record(state.step),
            **self._step,
            **self._movement.figures(),
            **self._new_row_figures(),
            **state.cursor.figures(),
            **state.spent(self._reduce),
            "steps": state.setup.settings.steps,
            "seconds": round(state.meter.all_seconds, 3),
        }
        if isinstance(state.optimizer, Sophia):
            clipped, moved = self._reduce(state.optimizer.counts.double()).tolist()
            line["clipped_share"] = clipped / max(moved, 1)
        return line

    def _new_row_figures(self) -> dict[str, float]:
        """How often the new tokens were read and how their rows are; nothing for a model without."""
        setup = self._state.setup
        if setup.rows is None or setup.new_tokens is None:
            return {}
        rows = full_tensor(setup.rows.input.detach())
        shares = setup.new_tokens.figures(rows, self._reduce)
        return {**shares, "new_row_norm": rows.norm(dim=1).mean().item()}
