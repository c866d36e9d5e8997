"""The processes of one training: what they tell each other, and FSDP2, which shards one model over them.

    a decoder layer    one group: gathered when it is needed, forwards and backwards, and let go again
    all the rest       one group (embedding, head, last norm): gathered for the whole of a pass, because the
                       chunked cross-entropy reads the head's rows outside the head

Within a group, frozen weights and learning ones may differ in precision; what learns must be alike, and is
(float32). A learning parameter, its gradient and its optimiser state are spread over the processes by rows
(`ekle.model.distributed`), frozen weights too. Gradients are summed and spread after every backward pass and
not only after the last of a step, which would need room for all of them in every process.

transformers' own `TrainingArguments(fsdp=...)` is not used: it knows nothing of these groups, and without a
GPU it becomes DDP and says nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, reduce
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from ekle.errors import TrainingError
from ekle.model.distributed import is_main_process
from ekle.training.objective import Found, Objective

# How long one waits for another: the main process alone digests the corpus and aligns the rows. One that
# ends is noticed at once by torchrun, which ends the others.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """The processes that torchrun started; one, where it did not."""

    rank: int
    """Number of this process; 0 is the main one, which writes files (`is_main_process`)."""
    world_size: int
    """How many there are."""
    device: torch.device
    """Where this process computes."""

    def wait(self) -> None:
        """Go on when all have come to this point."""
        PartialState().wait_for_everyone()

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """What is inside is done by the main process, and then by the others, who find what it left."""
        if not is_main_process():
            self.wait()
        yield
        if is_main_process():
            self.wait()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        summed: Tensor = reduce(values, "sum")
        return summed

    def minimum(self, number: int) -> int:
        """The least that any process hands in."""
        return int(gather(torch.tensor([number], device=self.device)).min())

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Put the mean over all processes into each of `tensors`, of which they all have the same."""
        if self.world_size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)
                tensor /= self.world_size

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in some process, so that all of them do the same."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)).item())

    def from_main(self, value: float) -> float:
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


def shard(objective: Objective, device: torch.device) -> None:
    """Spread the weights over all processes, and move them to `device`; its parameters are others then.

    A layer is moved whole before it is cut, so that no device holds more than one layer and the rest whole.
    """
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    for layer in objective.language_model.get_decoder().layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(objective, mesh=mesh, reshard_after_forward=False)
    register_fsdp_forward_method(objective, "measured")


def is_sharded(objective: Objective) -> bool:
    """Whether its weights are spread over processes."""
    return isinstance(objective, FSDPModule)


def measure(objective: Objective, found_in: Callable[[Any], Found]) -> Found:
    """What `found_in` finds in the language model of `objective`, spread or not; for all processes."""
    found = objective.measured(found_in)
    if isinstance(objective, FSDPModule):
        objective.reshard()
    return found
