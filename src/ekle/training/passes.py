"""Forward and backward passes, as many sequences at once as memory allows.

How many that is changes nothing about a step but rounding: every loss is divided by the labels that count
in the whole step, over all its batches and processes, so the parts add up to its mean.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ekle.errors import TrainingError
from ekle.progress import Report
from ekle.recipe.training import Training
from ekle.training.meter import Meter
from ekle.training.objective import Objective
from ekle.training.optimizers import drop_gradients
from ekle.training.sophia import Sophia

Batch = dict[str, Any]
"""`input_ids`, `labels`, `position_ids`, each (B, T), and `learned`, the labels that count in the batches
of all processes; other entries are left alone."""


class Passes:
    """Adds gradients to the parameters of an objective.

    Args:
        objective: what is trained; called through the `model` that wraps it for several processes.
        settings: accumulation and sizes.
        seed: part of every random draw.
        device: where the objective is.
        backward: takes the backward pass of a loss.
        process: number of this process, and how many there are. Gradients are averaged over them.
        report: hears when fewer sequences go through at once.
        agree: the least that any process hands in, so that all cut their batches alike. Every process calls
            it after the last part of a batch, or where its memory ran out: no pass may wait for another
            process before that.
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
        agree: Callable[[int], int] = lambda sequences: sequences,
    ) -> None:
        chosen = settings.micro_batch_size
        self.at_once = settings.batch_size if chosen == "auto" else min(chosen, settings.batch_size)
        """Sequences in one pass; halved when memory runs out, and it stays so."""
        self._objective, self._settings, self._seed, self._device = objective, settings, seed, device
        self._backward, self._process, self._report, self._agree = backward, process, report, agree

    def learn(self, model: Any, batches: Sequence[Batch], place: int, step: int, meter: Meter) -> Tensor:
        """Add the gradient of batch number `place` of the step's `batches`; those before have been through.

        When memory runs out, half of a backward pass may have been added already: then the gradients
        are dropped, and all batches so far go through again in smaller parts.

        Raises:
            TrainingError: a single sequence does not fit.
        """
        todo, loss = [place], torch.zeros(())
        tokens = sum(batch["learned"] for batch in batches) / self._process[1]

        def attempt() -> None:
            nonlocal loss
            for number in todo:
                loss = self._learn_one(model, batches[number], tokens, step, number, meter)

        while not self._fits(attempt):
            meter.forget_step()
            todo = list(range(place + 1))
        return loss

    def estimate_curvature(
        self, model: Any, batch: Batch, step: int, sophia: Sophia, resting: Iterable[nn.Parameter] = ()
    ) -> None:
        """Gauss-Newton-Bartlett on one batch: the gradient for labels that the model itself would give.

        No gradient is left behind. An estimate that is not finite is dropped, and parameters that are
        `resting` get none. Raises as `learn`.
        """
        tokens = batch["learned"] / self._process[1]

        def attempt() -> None:
            for number, part in enumerate(self._parts(batch)):
                sample = self._generator("sample", step, 0, number)
                self._backward(model(**part, tokens=tokens, sample=sample)[0])

        while not self._fits(attempt):
            pass
        drop_gradients(resting)
        norms = [p.grad.norm() for p in self._objective.parameters() if p.grad is not None]
        if torch.isfinite(torch.stack(norms).sum()):
            sophia.update_curvature(batch["learned"])
        drop_gradients(self._objective.parameters())

    def probe(self, later: int) -> None:
        """Find out how many sequences fit at once, from `at_once` down, and leave no gradient behind.

        Args:
            later: bytes that are not in use yet and will be, such as the optimiser's state.

        Raises:
            TrainingError: a single sequence does not fit.
        """
        ids = torch.zeros(self.at_once, self._settings.sequence_length, dtype=torch.long)
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        batch = {"input_ids": ids, "labels": ids, "position_ids": positions}

        def attempt() -> None:
            held = torch.empty(later, dtype=torch.uint8, device=self._device)
            part = next(iter(self._parts(batch)))
            self._backward(self._objective(**part, noise=self._generator("probe"))[0])
            del held

        self._objective.train()  # or activation checkpointing rests
        while not self._fits(attempt):
            pass
        drop_gradients(self._objective.parameters())
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _learn_one(
        self, model: Any, batch: Batch, tokens: float, step: int, place: int, meter: Meter
    ) -> Tensor:
        """The batch's share of the step's mean loss."""
        total = torch.zeros((), device=self._device)
        for number, part in enumerate(self._parts(batch)):
            noise = self._generator("noise", step, place, number)
            loss, tally = model(**part, tokens=tokens, noise=noise)
            self._backward(loss)
            total += loss.detach()
            meter.add(tally)
        return total

    def _parts(self, batch: Batch) -> list[dict[str, Tensor]]:
        """The batch on the device, in parts of `at_once` sequences."""
        names = ("input_ids", "labels", "position_ids")
        chunks = [batch[name].to(self._device).split(self.at_once) for name in names]
        return [dict(zip(names, parts, strict=True)) for parts in zip(*chunks, strict=True)]

    def _fits(self, attempt: Callable[[], None]) -> bool:
        """Whether `attempt` goes through in every process; where not, fewer sequences go at once from now on.

        Raises:
            TrainingError: not even one does.
        """
        wanted, shortage = self.at_once, None
        try:
            attempt()
        except torch.OutOfMemoryError as error:
            wanted, shortage = -(-self.at_once // 2) if self.at_once > 1 else 0, error.with_traceback(None)
        agreed = self._agree(wanted)
        if agreed == self.at_once:
            return True
        drop_gradients(self._objective.parameters())
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if agreed == 0:
            raise TrainingError(
                f"a single sequence of {self._settings.sequence_length:,} tokens does not fit into memory; "
                "lower training.sequence_length, or switch training.activation_checkpointing on"
            ) from shortage
        self.at_once = agreed
        self._report.say(
            f"out of memory: batches of {self._settings.batch_size} go through {agreed} at a time now",
            at_once=agreed,
        )
        return False

    def _generator(self, *key: str | int) -> torch.Generator:
        """A generator for one purpose, step and place, the same however often the run was interrupted."""
        name = "/".join(map(str, (self._seed, self._process[0], *key)))
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
        return torch.Generator(self._device).manual_seed(seed)
