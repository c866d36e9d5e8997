"""One step of the optimiser, from its beginning to its end; the Trainer says when."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ekle.model.dora import adapted_layers
from ekle.page.training_line import brief
from ekle.training.devices.processes import Processes
from ekle.training.optimizers.gradients import clip_gradients, drop_gradients
from ekle.training.optimizers.sophia import Sophia
from ekle.training.passes import Batch
from ekle.training.run_state import RunState
from ekle.training.text.packing import Cursor
from ekle.training.watching.log_line import LogLine


class Steps:
    """What happens around the passes of each step: curvature, clipping, the guard, the log.

    Attributes:
        leak: why the run must stop and go on in a fresh process; None while it may go on.
    """

    def __init__(self, state: RunState, processes: Processes) -> None:
        self.leak: str | None = None
        self._state, self._parts, self._processes = state, state.parts, processes
        self._line = LogLine(state, processes.sum)
        self._fault: str | None = None

    def begin(self, batch: Batch) -> None:
        """Start the clock; every k-th step, and when the adapters begin, estimate the curvature first."""
        state, every = self._state, self._parts.settings.sophia.hessian_every
        state.meter.begin_step()
        self._line.begin_step()
        is_due = state.step % every == 0 or state.step == self._rows_alone
        if isinstance(state.optimizer, Sophia) and is_due:
            self._parts.objective.train()
            state.passes.estimate_curvature(batch, state.optimizer, self._resting())

    def clip(self) -> Tensor:
        """Clip the gradients, and drop those of a step that the guard would not have; their norm before."""
        state = self._state
        state.passes.finish()
        drop_gradients(self._resting())
        norm = clip_gradients(self._parts.objective.parameters(), self._parts.settings.gradient_clip)
        self._line.see_gradient(norm)
        loss = state.meter.step_loss(self._processes.sum)
        self._fault = state.guard.why_skip(state.step + 1, loss, norm.item())
        if self._fault is not None:
            drop_gradients(self._parts.objective.parameters())
            self._write(state.step + 1, {"skipped": self._fault})
        return norm

    def end(self, batches: Sequence[Batch]) -> str:
        """Stop the clock and count the step; log it where that is due, or go back from it.

        Returns:
            A few words for the bar.
        """
        state = self._state
        state.step += 1
        state.meter.end_step(counts=self._fault is None)
        if self._fault is None:
            self._parts.new_tokens.count(batch["input_ids"] for batch in batches)
        state.cursor = Cursor(**batches[-1]["cursor"])
        if state.guard.must_go_back:
            self._go_back(str(self._fault))
            return ""
        return self._log(state.step) if self._line.is_due(state.step) else ""

    def _log(self, step: int) -> str:
        """Write one line, and look at it; what of it belongs to the bar."""
        state, settings = self._state, self._parts.settings
        figures = self._line.figures()
        self._write(step, figures)
        if "clipped_share" in figures and step > settings.warmup * settings.steps:
            state.guard.see_clipping(step, figures["clipped_share"])
        leak = state.memory.leak(settings.steps - step, self._parts.report)
        if self._processes.any(leak is not None):
            self.leak = leak or "memory grows in another process"
        return brief(figures)

    def _go_back(self, fault: str) -> None:
        """Go on from the last checkpoint, more slowly and with other text; the log forgets the way there."""
        state = self._state
        came_from = state.go_back(fault)
        if self._processes.is_main:
            self._parts.history.cut(state.step)
        figures = {"went_back_from": came_from, "because": fault, "rate_factor": state.guard.rate}
        self._write(state.step + 1, figures)
        self._parts.report.say(
            f"back from step {came_from:,} to the checkpoint of step {state.step:,}, and on with "
            f"{state.guard.rate:g} times the learning rate",
            step=state.step,
        )

    def _write(self, step: int, figures: dict[str, Any]) -> None:
        if self._processes.is_main:
            self._parts.history.append({"step": step, **figures})

    @property
    def _rows_alone(self) -> int:
        """Steps, at the start, in which only the new rows learn."""
        return math.ceil(self._parts.settings.rows_first * self._parts.settings.steps)

    def _resting(self) -> list[nn.Parameter]:
        """What does not learn in this step; an optimiser keeps no momentum and no curvature of it."""
        if self._state.step >= self._rows_alone:
            return []
        return [part for _, layer in adapted_layers(self._parts.objective) for part in layer.parameters()]
