"""What to do about steps that go wrong."""

import math
from dataclasses import dataclass

from ekle.errors import TrainingError
from ekle.progress import Report

_BAD_STEPS = 5  # steps in a row without a finite gradient, after which going on is no use
_CLIPPED_ALARM = 0.95  # clipped share from which Sophia is little more than the sign of the momentum


@dataclass
class Guard:
    """Skips steps whose gradient is not finite, and raises the alarm when Sophia clips nearly everything."""

    report: Report
    bad_steps: int = 0
    """Steps in a row that were skipped."""
    alarmed: bool = False

    def must_skip(self, step: int, norm: float) -> bool:
        """Whether step number `step` (from 1) must be skipped, its gradient having the norm `norm`.

        Raises:
            TrainingError: it is the first step, or too many in a row had to be skipped.
        """
        if math.isfinite(norm):
            self.bad_steps = 0
            return False
        self.bad_steps += 1
        if step == 1:
            raise TrainingError(
                "the loss is not a finite number from the first step on: the weights of the extended model "
                "are damaged, or training.precision is too low for them (try fp32)"
            )
        if self.bad_steps == _BAD_STEPS:
            raise TrainingError(
                f"the last {_BAD_STEPS} steps had no finite gradient; lower training.learning_rate "
                "and start over with --redo training"
            )
        self.report.say(f"step {step:,} is skipped: its gradient is not finite", step=step)
        return True

    def see_clipping(self, step: int, share: float) -> None:
        """Say once, after the warm-up, that Sophia clips too much."""
        if share > _CLIPPED_ALARM and not self.alarmed:
            self.alarmed = True
            self.report.say(
                f"Sophia clips {share:.0%} of its updates; a higher training.sophia.rho would let the "
                "curvature count",
                step=step,
            )
