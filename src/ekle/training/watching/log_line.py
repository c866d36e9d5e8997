"""The line of the training log that a step gets."""

from typing import Any

from torch import Tensor

from ekle.model.spread import whole
from ekle.training.optimizers.make import learning_rates
from ekle.training.optimizers.sophia import Sophia
from ekle.training.run_state import RunState
from ekle.training.watching.meter import Reduce
from ekle.training.watching.movement import Movement


class LogLine:
    """Gathers figures from the beginning of a step to its end.

    Args:
        state: the run.
        reduce: sums a tensor over all processes.
    """

    def __init__(self, state: RunState, reduce: Reduce) -> None:
        self._state, self._reduce = state, reduce
        self._step: dict[str, Any] = {}
        self._movement = Movement(state.optimizer, reduce)

    def is_due(self, step: int) -> bool:
        """Whether step number `step` (from 1) gets a line."""
        settings = self._state.parts.settings
        return step >= settings.steps or step % settings.log_steps == 0

    def begin_step(self) -> None:
        """Note what the step is about to use, and where it starts from."""
        self._step = learning_rates(self._state.optimizer)
        if self.is_due(self._state.step + 1):
            self._movement.begin()

    def see_gradient(self, norm: Tensor) -> None:
        """Note the norm of the step's gradient before it was clipped."""
        self._step["grad_norm"] = norm.item()

    def figures(self) -> dict[str, Any]:
        """The line of the step that ended, but for its number; the sums of the meter start anew."""
        state = self._state
        rows = whole(state.parts.rows.input.detach())
        line = {
            **state.meter.read(self._reduce),
            **state.memory.see(state.step),
            **self._step,
            **self._movement.figures(),
            **state.parts.new_tokens.figures(rows, self._reduce),
            "new_row_norm": rows.norm(dim=1).mean().item(),
            **state.cursor.figures(),
            "steps": state.parts.settings.steps,
            "seconds": round(state.meter.all_seconds, 3),
        }
        if isinstance(state.optimizer, Sophia):
            clipped, moved = self._reduce(state.optimizer.counts.double()).tolist()
            line["clipped_share"] = clipped / max(moved, 1)
        return line
