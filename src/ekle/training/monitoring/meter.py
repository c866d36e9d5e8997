"""Sums over the text that was trained on since the last log line."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from ekle.model.distributed import is_main_process
from ekle.training.objective import Tally, bits_per_byte

Reduce = Callable[[Tensor], Tensor]
"""Sums a tensor over all processes."""
_FIELDS = len(fields(Tally))


@dataclass
class Meter:
    """Adds up tallies and seconds; a step that was repeated counts once.

    The clock runs between `begin_step` and `end_step` alone.
    """

    device: torch.device
    step: Tally | None = None
    seconds: float = 0.0
    all_seconds: float = 0.0
    """Seconds of training since the beginning, over all attempts."""
    all_steps: int = 0
    """Steps computed since the beginning, skipped ones and those that a rollback undid included."""
    _began: float = 0.0
    _total: Tensor = field(init=False)
    """(5,) float64: the sums of a tally, over the steps since the last line."""
    _all_bytes: Tensor = field(init=False)
    """() float64: bytes of the text learned from since the beginning, by this process."""

    def __post_init__(self) -> None:
        self._total = self._nothing()
        self._all_bytes = self._nothing()[0]

    def begin_step(self) -> None:
        """Start the clock."""
        self.step, self._began = None, time.monotonic()

    def add(self, tally: Tally) -> None:
        """Count one micro-batch of the step."""
        self.step = tally if self.step is None else self.step + tally

    def discard_step(self) -> None:
        """Forget what the step has added so far, because it will be repeated."""
        self.step = None

    def step_loss(self, reduce: Reduce) -> float:
        """Nats per token of the step so far, over all processes."""
        assert self.step is not None
        nats, tokens = reduce(_sums(self.step)[:2]).tolist()
        return float(nats / tokens) if tokens else 0.0

    def end_step(self, counts: bool) -> None:
        """Stop the clock; a skipped step does not count towards loss and bytes."""
        passed = time.monotonic() - self._began
        self.seconds += passed
        self.all_seconds += passed
        self.all_steps += 1
        if self.step is not None and counts:
            self._total += _sums(self.step)
            self._all_bytes += self.step.text_bytes

    def read(self, reduce: Reduce) -> dict[str, float]:
        """The figures since the last reading, over all processes; the sums start again at 0."""
        figures: dict[str, float] = {}
        nats, tokens, text_nats, text_bytes, read = reduce(self._total).tolist()
        if read:
            figures = {
                "loss_per_token": nats / tokens if tokens else math.nan,
                "bits_per_byte": bits_per_byte(text_nats, text_bytes),
                "tokens_per_second": read / self.seconds,
                "bytes_per_second": text_bytes / self.seconds,
            }
        self._total, self.seconds = self._nothing(), 0.0
        return figures

    def text_bytes(self, reduce: Reduce) -> int | None:
        """Bytes of the text learned from since the beginning, over all processes; skipped steps do not count.

        None in a training that ekle 0.2 began, which did not count them.
        """
        found = float(reduce(self._all_bytes))
        return None if math.isnan(found) else round(found)

    def gather(self, reduce: Reduce) -> None:
        """Bring the sums of all processes together in the main one, which writes the checkpoint."""
        summed, summed_bytes = reduce(self._total), reduce(self._all_bytes)
        self._total = summed if is_main_process() else self._nothing()
        self._all_bytes = summed_bytes if is_main_process() else self._nothing()[0]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {
            "all_seconds": self.all_seconds,
            "seconds": self.seconds,
            "all_steps": self.all_steps,
            "all_bytes": self._all_bytes.item(),
            "total": self._total.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave; the sums go to the main process."""
        self.all_seconds, self.seconds = state["all_seconds"], state["seconds"]
        self.all_steps = state["all_steps"]
        self._total, self._all_bytes = self._nothing(), self._nothing()[0]
        if is_main_process():
            self._all_bytes += state.get("all_bytes", math.nan)  # not in a checkpoint of 0.2
            self._total += torch.tensor(state["total"], dtype=torch.float64, device=self.device)

    def _nothing(self) -> Tensor:
        return torch.zeros(_FIELDS, dtype=torch.float64, device=self.device)


def _sums(tally: Tally) -> Tensor:
    return torch.stack([part.double() for part in tally.sums()])
