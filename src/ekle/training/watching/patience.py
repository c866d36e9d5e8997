"""Which evaluation was the best, and whether to stop waiting for a better one."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Watch:
    """Watches held-out bits per byte.

    `patience` evaluations without a better one are enough to stop; 0 never stops.
    """

    patience: int
    best: float | None = None
    best_step: int | None = None
    waited: int = 0
    """Evaluations since the best."""

    def see(self, step: int, value: float) -> bool:
        """Note the evaluation at `step`; True where it is the best so far."""
        if self.best is None or value < self.best:
            self.best, self.best_step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]

    @property
    def is_over(self) -> bool:
        """Whether the patience is used up."""
        return 0 < self.patience <= self.waited
