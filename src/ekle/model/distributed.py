"""Tensors that are sharded over several processes, and plain ones, treated alike.

FSDP2 keeps a parameter as a DTensor: process p of P holds the p-th shard of its rows. Code that works on
parameters outside a forward pass (norms, steps of an optimiser, files) calls these functions. They leave a
plain tensor as it is, so that the caller need not know which of the two it has.

A function whose docstring says "collective" waits for the other processes: every process has to call it, in
the same order.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor

from ekle.files import atomic_file


def is_sharded_tensor(tensor: Tensor) -> bool:
    """Whether each process holds a shard of the rows of `tensor` (rows, ...)."""
    return isinstance(tensor, DTensor)


def local_shard(tensor: Tensor) -> Tensor:
    """The rows (local rows, ...) that this process holds of `tensor` (rows, ...); shares memory with it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def full_tensor(tensor: Tensor) -> Tensor:
    """All rows (rows, ...) of `tensor`, in every process; collective."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def full_tensor_like(local: Tensor, sharded: Tensor) -> Tensor:
    """The full vector (rows,) of which each process computed `local` (local rows,); collective.

    Args:
        local: a number for each row of `sharded` (rows, ...) that this process holds.
        sharded: says how the rows are sharded.
    """
    if not isinstance(sharded, DTensor):
        return local
    shape = torch.Size([len(sharded)])
    return DTensor.from_local(
        local, sharded.device_mesh, sharded.placements, run_check=False, shape=shape, stride=(1,)
    ).full_tensor()


def shard_like(value: Tensor, sharded: Tensor) -> Tensor:
    """`value` (rows, ...), held in full by every process, with its rows sharded like those of `sharded`."""
    if not isinstance(sharded, DTensor):
        return value
    mesh, placements = sharded.device_mesh, sharded.placements
    return distribute_tensor(value.to(sharded.device), mesh, placements, src_data_rank=None)


@torch.no_grad()
def copy_full_tensor(tensor: Tensor, value: Tensor) -> None:
    """Copy `value` (rows, ...), which every process holds in full, into `tensor`, sharded or not."""
    tensor.copy_(shard_like(value, tensor))


def is_main_process() -> bool:
    """Whether this is the main process, which alone writes files and reports; True without others.

    Before torch is loaded, `ekle.pipeline.distributed` reads the same from torchrun's environment.
    """
    return not distributed.is_initialized() or distributed.get_rank() == 0


def save_full_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write `tensors` as safetensors; collective, and the main process alone writes.

    Full tensors are gathered one by one, in the host memory of the main process.
    """
    main, gathered = is_main_process(), {}
    for name, tensor in tensors.items():
        full = full_tensor(tensor.detach())
        if main:
            gathered[name] = full.cpu().contiguous()
    if main:
        with atomic_file(path) as temporary:
            save_file(gathered, temporary, metadata=metadata)
