"""What to do about steps that go wrong: skip them, then go back and go on more slowly, then give up.

A step is bad if its loss or its gradient is no finite number, or if its loss stands far above those of the
steps before (a spike). Bad steps change nothing: their gradients are dropped. As many in a row that the
weights themselves must be at fault send the run back to its last checkpoint, from where it goes on with a
lower learning rate and with the text that comes next, not with the text it stumbled over (Chowdhery et al.
2022, "PaLM", section 5.1: restart before the spike, skip its batches). Judging depends on losses alone, so an
interrupted run decides as an uninterrupted one does. Which checkpoint is the last depends on the clock as
well, where `training.checkpoint_minutes` has one made.
"""

import math
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ekle.errors import TrainingError
from ekle.progress import ProgressReporter
from ekle.recipe.training import GuardSettings

_CLIPPED_ALARM = 0.95  # clipped share from which Sophia is little more than the sign of the momentum
_DEVIATION = 1.4826  # a normal distribution's standard deviation, in median absolute deviations


@dataclass
class Guard:
    """Judges every step of one run."""

    settings: GuardSettings
    reporter: ProgressReporter
    bad_steps: int = 0
    """Steps in a row that were skipped."""
    rollbacks: int = 0
    """How often the run has rolled back."""
    warned: bool = False
    _losses: deque[float] = field(init=False)
    """Those of the last good steps, nats a token."""

    def __post_init__(self) -> None:
        self._losses = deque(maxlen=self.settings.window)

    @property
    def rate(self) -> float:
        """Factor of the learning rate."""
        return self.settings.lower**self.rollbacks

    @property
    def must_roll_back(self) -> bool:
        """Whether so many steps in a row were bad that skipping is no cure."""
        return self.bad_steps >= self.settings.bad_steps

    def skip_reason(self, step: int, loss: float, norm: float) -> str | None:
        """The reason to skip step number `step` (from 1); None where it is a good one.

        Args:
            step: said and logged.
            loss: nats a token.
            norm: of the gradient.

        Raises:
            TrainingError: the first step of a run has no finite number.
        """
        reason = self._fault(loss, norm)
        if reason is None:
            self.bad_steps = 0
            self._losses.append(loss)
            return None
        if step == 1 and self.rollbacks == 0:
            raise TrainingError(
                "the loss is not a finite number from the first step on: the weights of the extended model "
                "are damaged, or training.precision is too low for them (try fp32)"
            )
        self.bad_steps += 1
        self.reporter.say(f"step {step:,} is skipped: {reason}", step=step)
        return reason

    def roll_back(self, step: int, reason: str) -> None:
        """Note that the run goes back from step `step`, whose fault was `reason`.

        Raises:
            TrainingError: it has gone back too often already.
        """
        if self.rollbacks == self.settings.returns:
            raise TrainingError(
                f"{self.bad_steps} steps in a row went wrong up to step {step:,} ({reason}), and so they did "
                f"after going back {self.rollbacks} times; lower training.learning_rate and start over with "
                "--redo training"
            )
        self.rollbacks += 1
        self.bad_steps = 0

    def warn_if_clipping(self, step: int, share: float) -> None:
        """Say once, after the warm-up, that Sophia clips too much."""
        if share > _CLIPPED_ALARM and not self.warned:
            self.warned = True
            self.reporter.say(
                f"Sophia clips {share:.0%} of its updates; a higher training.sophia.rho would let the "
                "curvature count",
                step=step,
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"bad_steps": self.bad_steps, "returns": self.rollbacks, "losses": list(self._losses)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self.bad_steps, self.rollbacks = state["bad_steps"], state["returns"]
        self._losses = deque(state["losses"], maxlen=self.settings.window)

    def _fault(self, loss: float, norm: float) -> str | None:
        if not math.isfinite(loss):
            return f"its loss is {loss}"
        if not math.isfinite(norm):
            return f"the norm of its gradient is {norm}"
        if len(self._losses) < self.settings.window:
            return None  # too few to know what is usual
        usual = statistics.median(self._losses)
        spread = _DEVIATION * statistics.median(abs(each - usual) for each in self._losses)
        if loss - usual <= max(self.settings.spike_nats, self.settings.spike_deviations * spread):
            return None
        return f"its loss of {loss:.3f} nats a token is a spike above the usual {usual:.3f}"
