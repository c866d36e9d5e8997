"""Forward and backward passes, as many sequences at once as memory allows.

How many that is changes nothing about a step but rounding: every loss is divided by the labels that count
in the whole step, over all its batches and processes, so the parts add up to its mean.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ekle.errors import TrainingError
from ekle.progress import Report
from ekle.training.devices.processes import Processes
from ekle.training.devices.sharding import is_sharded
from ekle.training.objective import Objective
from ekle.training.optimizers.gradients import drop_gradients, gradient_norm
from ekle.training.optimizers.sophia import Sophia
from ekle.training.step_batch import StepBatch
from ekle.training.watching.meter import Meter

Batch = dict[str, Any]
"""What `ekle.training.text.packing.Batches` gives."""


class Passes:
    """Adds gradients to the parameters of an objective.

    Args:
        objective: what is trained.
        sizes: how a step is shared out.
        seed: part of every random draw.
        backward: takes the backward pass of a loss.
        processes: who takes part.
        report: hears when fewer sequences go through at once.
    """

    def __init__(
        self,
        objective: Objective,
        sizes: StepBatch,
        seed: int,
        backward: Callable[[Tensor], None],
        processes: Processes,
        report: Report,
    ) -> None:
        self.at_once = sizes.batch_size
        """Sequences in one pass; halved when memory runs out, and it stays so."""
        self._objective, self._sizes, self._seed = objective, sizes, seed
        self._backward, self._processes, self._report = backward, processes, report
        self._device = processes.device

    def learn(self, batches: Sequence[Batch], place: int, meter: Meter) -> Tensor:
        """Add the gradient of batch number `place` of the step's `batches`; those before have been through.

        When memory runs out, half of a backward pass may have been added already: then the gradients
        are dropped, and all batches so far go through again in smaller parts.

        Raises:
            TrainingError: a single sequence does not fit.
        """
        todo, loss = [place], torch.zeros(())
        tokens = sum(sum(batch["learned"]) for batch in batches) / self._processes.count

        def attempt() -> None:
            nonlocal loss
            for number in todo:
                loss = self._learn_one(batches[number], tokens, meter)

        while not self._fits(attempt):
            meter.forget_step()
            todo = list(range(place + 1))
        return loss

    def finish(self) -> None:
        """Make the gradients those of all processes, once all batches of a step have been through.

        Where the weights are spread, every backward pass has done so.
        """
        if not is_sharded(self._objective):
            self._processes.average(p.grad for p in self._objective.parameters() if p.grad is not None)

    def estimate_curvature(self, batch: Batch, sophia: Sophia, resting: Iterable[nn.Parameter] = ()) -> None:
        """Gauss-Newton-Bartlett on a step's first batch: the gradient for labels that the model would give.

        Of the sequences that all processes have in it, `StepBatch.curvature` take part. No gradient is left
        behind. An estimate that is not finite is dropped, and parameters that are `resting` get none.
        Raises as `learn`.
        """
        count, processes = self._sizes.curvature, self._processes.count
        labels, own = sum(batch["learned"][:count]), len(range(self._processes.number, count, processes))
        # A process without a share goes along for nothing, because the others may wait for it.
        tokens = labels / processes if own else math.inf

        def attempt() -> None:
            for inputs, numbers in self._parts(batch, max(own, 1)):
                sample = self._generators("sample", numbers)
                self._backward(self._objective(**inputs, tokens=tokens, sample=sample)[0])

        while not self._fits(attempt):
            pass
        drop_gradients(resting)
        self.finish()
        if torch.isfinite(gradient_norm(self._objective.parameters())):
            sophia.update_curvature(labels)
        drop_gradients(self._objective.parameters())

    def probe(self, later: int) -> None:
        """Find out how many sequences fit at once, from `at_once` down, and leave no gradient behind.

        Args:
            later: bytes that are not in use yet and will be, such as the optimiser's state.

        Raises:
            TrainingError: a single sequence does not fit.
        """
        length = self._sizes.length
        ids = torch.zeros(self.at_once, length, dtype=torch.long)
        # Two documents a sequence: only then is there a mask, and room is taken for it.
        positions = (torch.arange(length) % -(-length // 2)).expand_as(ids)
        batch = {"input_ids": ids, "labels": ids, "position_ids": positions, "numbers": range(len(ids))}

        def attempt() -> None:
            held = torch.empty(later, dtype=torch.uint8, device=self._device)
            inputs, numbers = next(self._parts(batch, len(ids)))
            for _ in range(2):  # the second finds the gradients of the first, as most passes of a step do
                self._backward(self._objective(**inputs, noise=self._generators("probe", numbers))[0])
            del held

        self._objective.train()  # or activation checkpointing rests
        while not self._fits(attempt):
            pass
        drop_gradients(self._objective.parameters())
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _learn_one(self, batch: Batch, tokens: float, meter: Meter) -> Tensor:
        """The batch's share of the step's mean loss."""
        total = torch.zeros((), device=self._device)
        for inputs, numbers in self._parts(batch, self._sizes.batch_size):
            noise = self._generators("noise", numbers)
            loss, tally = self._objective(**inputs, tokens=tokens, noise=noise)
            self._backward(loss)
            total += loss.detach()
            meter.add(tally)
        return total

    def _parts(self, batch: Batch, rows: int) -> Iterator[tuple[dict[str, Tensor], Sequence[int]]]:
        """The first `rows` sequences on the device, `at_once` at a time, and their numbers."""
        for start in range(0, rows, self.at_once):
            part = slice(start, min(start + self.at_once, rows))
            names = ("input_ids", "labels", "position_ids")
            yield {name: batch[name][part].to(self._device) for name in names}, batch["numbers"][part]

    def _fits(self, attempt: Callable[[], None]) -> bool:
        """Whether `attempt` goes through in every process; where not, fewer sequences go at once from now on.

        All agree on how many, after the last part or where memory ran out. If the weights are spread, a
        pass waits for the others before that, and a process that lacks memory can only give up.

        Raises:
            TrainingError: not even one does, or the weights are spread.
        """
        wanted, shortage = self.at_once, None
        try:
            attempt()
        except torch.OutOfMemoryError as error:
            if is_sharded(self._objective):
                raise TrainingError(
                    f"{self.at_once} x {self._sizes.length:,} tokens do not fit into the memory of process "
                    f"{self._processes.number}; lower training.micro_batch_size, or training.sequence_length"
                ) from error
            wanted, shortage = -(-self.at_once // 2) if self.at_once > 1 else 0, error.with_traceback(None)
        agreed = self._processes.least(wanted)
        if agreed == self.at_once:
            return True
        drop_gradients(self._objective.parameters())
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if agreed == 0:
            raise TrainingError(
                f"a single sequence of {self._sizes.length:,} tokens does not fit into memory; "
                "lower training.sequence_length, or switch training.activation_checkpointing on"
            ) from shortage
        self.at_once = agreed
        self._report.say(
            f"out of memory: batches of {self._sizes.batch_size} go through {agreed} at a time now",
            at_once=agreed,
        )
        return False

    def _generators(self, purpose: str, numbers: Sequence[int]) -> list[torch.Generator]:
        """One for each sequence, the same in whatever process, part, or attempt it goes through."""
        made = []
        for number in numbers:
            digest = hashlib.sha256(f"{self._seed}/{purpose}/{number}".encode()).digest()
            seed = int.from_bytes(digest[:8], "big") >> 1
            made.append(torch.Generator(self._device).manual_seed(seed))
        return made
