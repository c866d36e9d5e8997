"""The sequences of one step, divided over processes, batches and micro-batches that fit into memory.

A step has E sequences, in G batches one after the other. In each batch, each of P processes has B sequences:
E = B x G x P. Process p has the sequences p, p + P, p + 2P and so on. It takes them in micro-batches, as
large as its memory allows (`Passes`). No random draw depends on this division: noise and sampled labels go
by the sequence's own number.

A training begins with the B and G of the recipe, so E grows with the number of processes. It keeps the E that
it began with: with another number of processes it goes on with other B and G, and the same losses.

The size of a micro-batch changes a step by rounding alone. Every loss is divided by the labels that count in
the whole step, over all its batches and processes, so that the parts add up to the mean.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ekle.artifacts import BaseModel, ExtendedModel
from ekle.errors import TrainingError
from ekle.model.device import first_gpu
from ekle.model.distributed import full_tensor
from ekle.model.processes import Processes
from ekle.page.formatting import size
from ekle.planning.gpus import gpu_of_size
from ekle.planning.plan import memory_shortage, plan_as_configured, with_new_rows
from ekle.planning.shapes import read_shape
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.recipe.training import TrainingSettings
from ekle.training.monitoring.meter import Meter
from ekle.training.objective import Objective
from ekle.training.optimizers.sophia import Sophia
from ekle.training.parallel import is_sharded


@dataclass(frozen=True)
class StepBatch:
    """How the sequences of a step are divided."""

    sequences: int
    """E, in a step."""
    batch_size: int
    """B, of one process in one batch."""
    accumulation: int
    """G, batches in a step."""
    length: int
    """T, tokens in a sequence."""
    curvature: int
    """Sequences, from the first of the step, on which Sophia estimates the curvature; at most B x P.

    The batch size of the recipe, whatever the number of processes. More would not make an estimate more
    exact: it is N times the square of a mean of N samples, whose variance is the same for any N.
    """


def split_step(settings: TrainingSettings, processes: int, begun_with: int | None) -> StepBatch:
    """Divide the sequences of a step.

    Args:
        settings: batch size and accumulation of the recipe.
        processes: P.
        begun_with: E of a resumed training; None for a new one.

    Raises:
        TrainingError: so many processes cannot share the step equally.
    """
    size = settings.batch_size
    sequences = begun_with or size * settings.gradient_accumulation * processes
    each = sequences // processes
    if each * processes != sequences:
        fitting = [str(number) for number in range(1, sequences + 1) if sequences % number == 0]
        raise TrainingError(
            f"this training takes {sequences} sequences a step, which {processes} processes cannot share "
            f"equally; go on with {' or '.join((', '.join(fitting[:-1]), fitting[-1]))}"
        )
    batch_size = next(number for number in range(min(size, each), 0, -1) if each % number == 0)
    return StepBatch(sequences, batch_size, each // batch_size, settings.sequence_length, size)


def planned_micro_batch_size(
    recipe: Recipe,
    model: ExtendedModel | BaseModel,
    sizes: StepBatch,
    processes: int,
    reporter: ProgressReporter,
) -> int:
    """Sequences in a micro-batch, by plan; without a GPU as many as the recipe allows.

    The plan does not know of gaps between tensors. Training makes its micro-batches smaller when memory runs
    out, so the plan refuses only what cannot fit.

    Raises:
        TrainingError: the tensors of single sequences exceed the memory of the GPU. The lines of the plan
            are reported first.
    """
    settings, found = recipe.training, first_gpu()
    allowed = settings.micro_batch_size
    if found is None:
        return sizes.batch_size if allowed == "auto" else min(allowed, sizes.batch_size)
    shape = read_shape(model.model / "config.json")
    frozen = model.first_new_id if isinstance(model, ExtendedModel) else shape.rows
    shared = {"batch_size": sizes.batch_size, "gradient_accumulation": sizes.accumulation}
    recipe = recipe.model_copy(update={"training": settings.model_copy(update=shared)})
    recipe = with_new_rows(recipe, shape.rows - frozen)
    shape, gpu = replace(shape, rows=frozen), gpu_of_size(*found)
    plan = plan_as_configured(recipe, shape, gpu, processes)
    shortage = memory_shortage(plan, recipe, shape)
    if shortage is not None:
        reporter.say(f"what a step needs, {plan.peak.name}, with single sequences:")
        for part in (*plan.persistent, *plan.peak.parts):
            reporter.say(f"  {size(part.bytes):>9}  {part.name}: {part.formula}", bytes=part.bytes)
        raise TrainingError(shortage)
    count = plan.case.micro_batch
    reporter.say(
        f"by plan {size(plan.needed)} of {size(gpu.bytes)} on {gpu.name}, micro-batches of {count} sequences",
        needed_bytes=plan.needed,
        gpu_bytes=gpu.bytes,
        micro_batch_size=count,
    )
    return count


Batch = dict[str, Any]
"""What `ekle.training.data.packing.Batches` gives."""


class Passes:
    """The forward and backward passes of a step: they add gradients to the parameters of an objective.

    Args:
        objective: what is trained.
        sizes: how a step is divided.
        seed: part of every random draw.
        processes: who takes part.
        reporter: receives a message when the micro-batch becomes smaller.
        backward: takes the backward pass of a loss.
    """

    def __init__(
        self,
        objective: Objective,
        sizes: StepBatch,
        seed: int,
        processes: Processes,
        reporter: ProgressReporter,
        backward: Callable[[Tensor], None] = Tensor.backward,
    ) -> None:
        self.micro_batch_size = sizes.batch_size
        """Sequences in one pass. It is halved when memory runs out, and stays so."""
        self.objective, self._sizes, self._seed = objective, sizes, seed
        self._backward, self._processes, self._reporter = backward, processes, reporter
        self._device = processes.device

    def accumulate(self, batches: Sequence[Batch], number: int, meter: Meter) -> Tensor:
        """Add the gradient of batch `number` of the step's `batches`; those before it are done.

        When memory runs out, half of a backward pass may have been added already. Then the gradients are
        dropped, and all batches so far are repeated in smaller micro-batches.

        Returns:
            The batch's share of the step's mean loss, a scalar.

        Raises:
            TrainingError: a single sequence does not fit.
        """
        todo, loss = [number], torch.zeros(())
        tokens = sum(sum(batch["learned"]) for batch in batches) / self._processes.world_size

        def attempt() -> None:
            nonlocal loss
            for each in todo:
                loss = self._accumulate_one(batches[each], tokens, meter)

        while not self._fits(attempt):
            meter.discard_step()
            todo = list(range(number + 1))
        return loss

    def finish(self) -> None:
        """Average the gradients over all processes, once all batches of a step are done.

        With sharded weights, every backward pass has done so already.
        """
        if not is_sharded(self.objective):
            self._processes.average(p.grad for p in self.objective.parameters() if p.grad is not None)

    def estimate_curvature(self, batch: Batch, sophia: Sophia, frozen: Iterable[nn.Parameter] = ()) -> None:
        """Gauss-Newton-Bartlett on a step's first batch: the gradient for labels sampled from the model.

        Of the sequences that all processes have in it, `StepBatch.curvature` take part. No gradient is left
        behind. An estimate that is not finite is dropped, and `frozen` parameters get none. Raises as
        `accumulate`.
        """
        count, processes = self._sizes.curvature, self._processes.world_size
        labels, own = sum(batch["learned"][:count]), len(range(self._processes.rank, count, processes))
        # A process without a share makes a pass that counts nothing, because the others may wait for it.
        tokens = labels / processes if own else math.inf

        def attempt() -> None:
            for inputs, numbers in self._micro_batches(batch, max(own, 1)):
                sample = self._generators("sample", numbers)
                self._backward(self.objective(**inputs, tokens=tokens, sample=sample)[0])

        while not self._fits(attempt):
            pass
        drop_gradients(frozen)
        self.finish()
        if torch.isfinite(gradient_norm(self.objective.parameters())):
            sophia.update_curvature(labels)
        drop_gradients(self.objective.parameters())

    def probe(self, later: int) -> None:
        """Find the largest micro-batch that fits, from `micro_batch_size` down; leaves no gradient behind.

        Args:
            later: bytes that will be in use later, such as those of the optimiser's state.

        Raises:
            TrainingError: a single sequence does not fit.
        """
        length = self._sizes.length
        ids = torch.zeros(self.micro_batch_size, length, dtype=torch.long)
        # Two documents in each sequence: only then does a pass make a mask, which takes memory.
        positions = (torch.arange(length) % -(-length // 2)).expand_as(ids)
        batch = {"input_ids": ids, "labels": ids, "position_ids": positions, "numbers": range(len(ids))}

        def attempt() -> None:
            held = torch.empty(later, dtype=torch.uint8, device=self._device)
            inputs, numbers = next(self._micro_batches(batch, len(ids)))
            for _ in range(2):  # the second finds the gradients of the first, as most passes of a step do
                self._backward(self.objective(**inputs, noise=self._generators("probe", numbers))[0])
            del held

        self.objective.train()  # activation checkpointing does nothing in evaluation mode
        while not self._fits(attempt):
            pass
        drop_gradients(self.objective.parameters())
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _accumulate_one(self, batch: Batch, tokens: float, meter: Meter) -> Tensor:
        """The batch's share of the step's mean loss."""
        total = torch.zeros((), device=self._device)
        for inputs, numbers in self._micro_batches(batch, self._sizes.batch_size):
            noise = self._generators("noise", numbers)
            loss, tally = self.objective(**inputs, tokens=tokens, noise=noise)
            self._backward(loss)
            total += loss.detach()
            meter.add(tally)
        return total

    def _micro_batches(self, batch: Batch, count: int) -> Iterator[tuple[dict[str, Tensor], Sequence[int]]]:
        """The first `count` sequences in micro-batches on the device, each with its sequences' numbers."""
        for start in range(0, count, self.micro_batch_size):
            part = slice(start, min(start + self.micro_batch_size, count))
            names = ("input_ids", "labels", "position_ids")
            yield {name: batch[name][part].to(self._device) for name in names}, batch["numbers"][part]

    def _fits(self, attempt: Callable[[], None]) -> bool:
        """Whether `attempt` succeeds in every process; if not, micro-batches are smaller from now on.

        All processes agree on a size, after the last micro-batch or where memory ran out. With sharded
        weights a pass waits for the others before that, so a process that lacks memory can only give up.

        Raises:
            TrainingError: not even one sequence fits, or memory runs out with sharded weights.
        """
        wanted, shortage = self.micro_batch_size, None
        try:
            attempt()
        except torch.OutOfMemoryError as error:
            if is_sharded(self.objective):
                raise TrainingError(
                    f"{self.micro_batch_size} x {self._sizes.length:,} tokens do not fit into the memory "
                    f"of process {self._processes.rank}; lower training.micro_batch_size, "
                    "or training.sequence_length"
                ) from error
            wanted, shortage = (
                -(-self.micro_batch_size // 2) if self.micro_batch_size > 1 else 0,
                error.with_traceback(None),
            )
        agreed = self._processes.minimum(wanted)
        if agreed == self.micro_batch_size:
            return True
        drop_gradients(self.objective.parameters())
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if agreed == 0:
            raise TrainingError(
                f"a single sequence of {self._sizes.length:,} tokens does not fit into memory; "
                "lower training.sequence_length, or switch training.activation_checkpointing on"
            ) from shortage
        self.micro_batch_size = agreed
        self._reporter.say(
            f"out of memory: batches of {self._sizes.batch_size} are split into micro-batches of {agreed}",
            micro_batch_size=agreed,
        )
        return False

    def _generators(self, purpose: str, numbers: Sequence[int]) -> list[torch.Generator]:
        """One for each sequence, the same in whatever process, micro-batch or attempt it is."""
        made = []
        for number in numbers:
            digest = hashlib.sha256(f"{self._seed}/{purpose}/{number}".encode()).digest()
            seed = int.from_bytes(digest[:8], "big") >> 1
            made.append(torch.Generator(self._device).manual_seed(seed))
        return made


def drop_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Drop the gradients; an optimiser does not change a parameter without one."""
    for parameter in parameters:
        parameter.grad = None


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Norm of all gradients together, a scalar; for all processes (`ekle.model.distributed`)."""
    return full_tensor(get_total_norm([p.grad for p in parameters if p.grad is not None]))


def clip_gradients(parameters: Iterable[nn.Parameter], longest: float) -> Tensor:
    """Scale all gradients together to a norm of at most `longest`; returns their norm before."""
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    norm = gradient_norm(learning)
    clip_grads_with_norm_(learning, longest, norm)
    return norm
