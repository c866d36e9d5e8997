"""Sums of what was trained on since the last log line."""

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ekle.training.objective import Tally, bits_per_byte

Reduce = Callable[[Tensor], Tensor]
"""Sums a tensor over all processes."""


@dataclass
class Meter:
    """Adds up tallies and seconds; a step that had to be repeated is counted once.

    Times only the steps themselves: what passes between `begin_step` and `end_step`.
    """

    device: torch.device
    total: Tally | None = None
    step: Tally | None = None
    seconds: float = 0.0
    all_seconds: float = 0.0
    """Seconds of training since the beginning, over all attempts."""
    _began: float = field(default=0.0, repr=False)

    def begin_step(self) -> None:
        """Start the clock."""
        self.step, self._began = None, time.monotonic()

    def add(self, tally: Tally) -> None:
        """Count one part of the step."""
        self.step = tally if self.step is None else self.step + tally

    def forget_step(self) -> None:
        """Uncount what the step has added so far, because it will be repeated."""
        self.step = None

    def end_step(self, counts: bool) -> None:
        """Stop the clock; a step that was skipped does not count towards loss and bytes."""
        passed = time.monotonic() - self._began
        self.seconds += passed
        self.all_seconds += passed
        if self.step is not None and counts:
            self.total = self.step if self.total is None else self.total + self.step

    def read(self, reduce: Reduce) -> dict[str, float]:
        """The figures since the last reading, over all processes; then start anew.

        Args:
            reduce: sums a tensor over all processes.
        """
        figures: dict[str, float] = {}
        if self.total is not None:
            sums = torch.stack([part.double() for part in self.total.parts()])
            nats, tokens, text_nats, text_bytes, read = reduce(sums).tolist()
            figures = {
                "loss_per_token": nats / tokens if tokens else math.nan,
                "bits_per_byte": bits_per_byte(text_nats, text_bytes),
                "tokens_per_second": read / self.seconds,
                "bytes_per_second": text_bytes / self.seconds,
            }
        figures["memory_bytes"] = memory_in_use(self.device)
        self.total, self.seconds = None, 0.0
        return figures


def memory_in_use(device: torch.device) -> int:
    """The most bytes so far: what PyTorch held on a GPU, otherwise what the process had in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
