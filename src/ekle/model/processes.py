"""The processes that share one piece of work: what they tell each other."""

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
from ekle.model.distributed import is_main_process

# How long a process waits for another: the main process alone digests the corpus and aligns the rows. When a
# process ends, torchrun notices it at once and ends the others.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """The processes that torchrun started, or the only one without torchrun."""

    rank: int
    """Number of this process; 0 is the main one, which writes files (`is_main_process`)."""
    world_size: int
    """How many there are."""
    device: torch.device
    """Where this process computes."""

    def wait(self) -> None:
        """Go on when all processes have come to this point."""
        PartialState().wait_for_everyone()

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """What is inside runs in the main process, and then in the others, which find what it wrote."""
        if not is_main_process():
            self.wait()
        yield
        if is_main_process():
            self.wait()

    def sum(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes, in each of them; of the shape of `values`."""
        if self.world_size == 1:
            return values
        summed: Tensor = reduce(values, "sum")
        return summed

    def minimum(self, number: int) -> int:
        """The smallest number of all processes."""
        return int(gather(torch.tensor([number], device=self.device)).min())

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Put the mean over all processes into each of `tensors`, of any shapes, in the same order in all."""
        if self.world_size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)
                tensor /= self.world_size

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in some process, so that all of them do the same."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)).item())

    def from_main(self, value: float) -> float:
        """The value of the main process, in all of them."""
        return float(broadcast(torch.tensor(value, dtype=torch.float64, device=self.device)))

    def leave(self) -> None:
        """Leave the other processes for good."""
        PartialState().destroy_process_group()


def join() -> Processes:
    """Find the other processes, and wait until all are there: through NCCL on GPUs, otherwise through gloo.

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
