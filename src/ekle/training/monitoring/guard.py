"""What to do about steps that go wrong: skip them, then roll back and go on more slowly, then give up.

A step is bad if its loss or its gradient is not finite, or if its loss is far above those of the steps before
(a spike). A bad step changes nothing: its gradients are dropped. If many steps in a row are bad, the weights
themselves are at fault. Then the run rolls back to its last checkpoint and goes on with a lower learning rate
and with the text that comes next, not with the text of the bad steps (Chowdhery et al. 2022, "PaLM", section
5.1: restart before the spike, skip its batches). The decision depends on losses and gradients alone, so an
interrupted run decides like an uninterrupted one. Which checkpoint is the last also depends on the clock, if
`training.checkpoint_minutes` asked for one.
"""

import math
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ekle.errors import TrainingError
from ekle.progress import ProgressReporter
from ekle.recipe.training import GuardSettings

_CLIPPED_ALARM = 0.95  # clipped share above which Sophia is little more than the sign of the momentum
_DEVIATION = 1.4826  # standard deviation of a normal distribution, in median absolute deviations


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
    """Losses of the last good steps, nats per token."""

    def __post_init__(self) -> None:
        self._losses = deque(maxlen=self.settings.window)

    @property
    def rate(self) -> float:
        """Factor of the learning rate."""
        return self.settings.rate_factor**self.rollbacks

    @property
    def must_roll_back(self) -> bool:
        """Whether so many steps in a row were bad that skipping does not help."""
        return self.bad_steps >= self.settings.bad_steps

    def skip_reason(self, step: int, loss: float, norm: float) -> str | None:
        """The reason to skip step number `step` (from 1); None if it is a good one.

        Args:
            step: named in what is reported.
            loss: nats per token.
            norm: of the gradient.

        Raises:
            TrainingError: loss or gradient of a run's first step is not finite.
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
        """Note that the run rolls back from step `step`, whose fault was `reason`.

        Raises:
            TrainingError: it has rolled back too often already.
        """
        if self.rollbacks == self.settings.max_rollbacks:
            raise TrainingError(
                f"{self.bad_steps} steps in a row went wrong up to step {step:,} ({reason}), also "
                f"after {self.rollbacks} rollbacks; lower training.learning_rate and start over with "
                "ekle run RECIPE --redo training"
            )
        self.rollbacks += 1
        self.bad_steps = 0

    def warn_if_clipping(self, step: int, share: float) -> None:
        """Report once that Sophia clips too much."""
        if share > _CLIPPED_ALARM and not self.warned:
            self.warned = True
            self.reporter.say(
                f"Sophia clips {share:.0%} of its updates; a higher training.sophia.rho would let the "
                "curvature count",
                step=step,
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"bad_steps": self.bad_steps, "rollbacks": self.rollbacks, "losses": list(self._losses)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave, here or in 0.1, where `rollbacks` was `returns`."""
        self.bad_steps = state["bad_steps"]
        self.rollbacks = state["rollbacks"] if "rollbacks" in state else state["returns"]
        self._losses = deque(state["losses"], maxlen=self.settings.window)

    def _fault(self, loss: float, norm: float) -> str | None:
        if not math.isfinite(loss):
            return f"its loss is {loss}"
        if not math.isfinite(norm):
            return f"the norm of its gradient is {norm}"
        if len(self._losses) < self.settings.window:
            return None  # too few to know the usual loss
        usual = statistics.median(self._losses)
        spread = _DEVIATION * statistics.median(abs(each - usual) for each in self._losses)
        if loss - usual <= max(self.settings.spike_nats, self.settings.spike_deviations * spread):
            return None
        return f"its loss of {loss:.3f} nats per token is a spike above the usual {usual:.3f}"
