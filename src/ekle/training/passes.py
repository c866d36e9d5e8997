"""Forward and backward passes, cut into as many parts as memory demands."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ekle.errors import TrainingError
from ekle.progress import Report
from ekle.recipe.training import Training
from ekle.training.meter import Meter
from ekle.training.objective import Objective
from ekle.training.optimizers import drop_gradients
from ekle.training.sophia import Sophia

Batch = dict[str, Any]
"""`input_ids`, `labels`, `position_ids`, each (B, T); other entries are left alone."""


class Passes:
    """Adds gradients to the parameters of an objective.

    Args:
        objective: what is trained; called through the `model` that wraps it for several processes.
        settings: accumulation and sizes.
        seed: part of every random draw.
        device: where the objective is.
        backward: takes the backward pass of a loss.
        process: number of this process, and how many there are.
        report: hears when batches must be cut.
    """

    def __init__(
        self,
        objective: Objective,
        settings: Training,
        seed: int,
        device: torch.device,
        backward: Callable[[Tensor], None],
        process: tuple[int, int],
        report: Report,
    ) -> None:
        self.pieces = 1
        """Parts each batch is cut into; grows when memory runs out, and stays."""
        self._objective, self._settings, self._seed, self._device = objective, settings, seed, device
        self._backward, self._process, self._report = backward, process, report

    def learn(self, model: Any, batches: Sequence[Batch], step: int, meter: Meter) -> Tensor:
        """Add the gradient of the last of the step's `batches`; the ones before have been through.

        When memory runs out, half of a backward pass may have been added already: then the gradients
        are dropped, and all batches so far go through again in smaller parts.

        Raises:
            TrainingError: a single sequence does not fit.
        """
        todo = list(enumerate(batches))[-1:]
        loss = torch.zeros(())
        while True:
            try:
                for place, batch in todo:
                    loss = self._learn_one(model, batch, step, place, meter)
                return loss
            except torch.OutOfMemoryError as error:
                self._cut_smaller(error)
            meter.forget_step()
            drop_gradients(self._objective.parameters())
            todo = list(enumerate(batches))

    def estimate_curvature(self, model: Any, batch: Batch, step: int, sophia: Sophia) -> None:
        """Gauss-Newton-Bartlett on one batch: the gradient for labels that the model itself would give.

        No gradient is left behind. An estimate that is not finite is dropped.
        """
        while True:
            try:
                for number, part in enumerate(self._parts(batch)):
                    loss, _ = model(**part, sample=self._generator("sample", step, 0, number))
                    self._backward(loss / self.pieces)
                break
            except torch.OutOfMemoryError as error:
                self._cut_smaller(error)
            drop_gradients(self._objective.parameters())
        norms = [p.grad.norm() for p in self._objective.parameters() if p.grad is not None]
        if torch.isfinite(torch.stack(norms).sum()):
            sophia.update_curvature(batch["labels"].numel() * self._process[1])
        drop_gradients(self._objective.parameters())

    def _learn_one(self, model: Any, batch: Batch, step: int, place: int, meter: Meter) -> Tensor:
        """The batch's share of the step's mean loss."""
        total = torch.zeros((), device=self._device)
        share = 1 / (self.pieces * self._settings.gradient_accumulation)
        for number, part in enumerate(self._parts(batch)):
            loss, tally = model(**part, noise=self._generator("noise", step, place, number))
            self._backward(loss * share)
            total += loss.detach() * share
            meter.add(tally)
        return total

    def _parts(self, batch: Batch) -> list[dict[str, Tensor]]:
        """The batch on the device, in parts of equal size."""
        names = ("input_ids", "labels", "position_ids")
        chunks = [batch[name].to(self._device).chunk(self.pieces) for name in names]
        return [dict(zip(names, parts, strict=True)) for parts in zip(*chunks, strict=True)]

    def _cut_smaller(self, error: torch.OutOfMemoryError) -> None:
        """Go over to the next larger number of equal parts."""
        size = self._settings.batch_size
        if self.pieces == size or self._process[1] > 1:
            raise TrainingError(
                f"a batch of {size // self.pieces} x {self._settings.sequence_length:,} tokens does not fit "
                "into memory; lower training.batch_size or training.sequence_length, or switch "
                "training.activation_checkpointing on"
            ) from error
        self.pieces = next(n for n in range(self.pieces + 1, size + 1) if size % n == 0)
        self._report.say(
            f"out of memory: batches of {size} go through in {self.pieces} parts from here on",
            pieces=self.pieces,
        )
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _generator(self, *key: str | int) -> torch.Generator:
        """A generator for one purpose, step and place, the same however often the run was interrupted."""
        name = "/".join(map(str, (self._seed, self._process[0], *key)))
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
        return torch.Generator(self._device).manual_seed(seed)
