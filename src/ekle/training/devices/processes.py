"""The processes of one training, and what they tell each other besides gradients."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, reduce
from torch import Tensor, distributed

from ekle.errors import TrainingError

# How long one waits for another: the main process alone digests the corpus and aligns the rows. One that
# ends is noticed at once by torchrun, which ends the others.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """The processes that torchrun started; one, where it did not."""

    number: int
    """Of this process; 0 is the main one, which writes files."""
    count: int
    device: torch.device
    """Where this process computes."""

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.number == 0

    def wait(self) -> None:
        """Go on when all have come to this point."""
        PartialState().wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """What is inside is done by the main process, and then by the others, who find what it left."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        summed: Tensor = reduce(values, "sum")
        return summed

    def least(self, number: int) -> int:
        """The least that any process hands in."""
        return int(gather(torch.tensor([number], device=self.device)).min())

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Put the mean over all processes into each of `tensors`, of which they all have the same."""
        if self.count > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)
                tensor /= self.count

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in some process, so that all of them do the same."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)).item())

    def told(self, value: float) -> float:
        """The value that the main process has, in all of them."""
        return float(broadcast(torch.tensor(value, dtype=torch.float64, device=self.device)))

    def leave(self) -> None:
        """Part from the others for good."""
        PartialState().destroy_process_group()


def join() -> Processes:
    """Find the others, once; waits until all are there. On GPUs through NCCL, otherwise through gloo.

    Raises:
        TrainingError: more processes were started on this machine than it has GPUs.
    """
    gpus = torch.cuda.device_count()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if 0 < gpus < here:
        raise TrainingError(
            f"torchrun started {here} processes on a machine with {gpus} GPUs; a process drives one GPU: "
            f"give it --nproc-per-node {gpus}"
        )
    state = PartialState(cpu=gpus == 0, timeout=_PATIENCE)
    return Processes(state.process_index, state.num_processes, torch.device("cuda" if gpus else "cpu"))
