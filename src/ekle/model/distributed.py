"""Tensors whose rows are spread over several processes, beside those that each process has whole.

FSDP2 keeps a parameter as a DTensor: process p of P has the p-th part of its rows. What is done to
parameters outside a forward pass (norms, steps of an optimiser, files) goes through these functions, which
leave a plain tensor as it is, so that nobody else needs to know which of the two it has.

Functions said to be of all processes wait for the others: each process has to call them, in the same order.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor

from ekle.files import atomic_file


def is_sharded_tensor(tensor: Tensor) -> bool:
    """Whether each process has a part of its rows."""
    return isinstance(tensor, DTensor)


def local_shard(tensor: Tensor) -> Tensor:
    """The rows that lie in this process; it shares its memory with `tensor`."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def full_tensor(tensor: Tensor) -> Tensor:
    """All rows, for all processes."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def full_tensor_like(local: Tensor, sharded: Tensor) -> Tensor:
    """All of a vector of which each process made the part for its own rows of `spread`, for all processes."""
    if not isinstance(sharded, DTensor):
        return local
    shape = torch.Size([len(sharded)])
    return DTensor.from_local(
        local, sharded.device_mesh, sharded.placements, run_check=False, shape=shape, stride=(1,)
    ).full_tensor()


def shard_like(value: Tensor, sharded: Tensor) -> Tensor:
    """A whole `value`, which every process has, with its rows where those of `spread` lie."""
    if not isinstance(sharded, DTensor):
        return value
    mesh, placements = sharded.device_mesh, sharded.placements
    return distribute_tensor(value.to(sharded.device), mesh, placements, src_data_rank=None)


@torch.no_grad()
def copy_full_tensor(tensor: Tensor, value: Tensor) -> None:
    """Put a whole `value`, which every process has, into `tensor`, wherever its rows lie."""
    tensor.copy_(shard_like(value, tensor))


def is_main_process() -> bool:
    """Whether this is the only process, or the one that writes files."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def save_full_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write `tensors` as safetensors, for all processes; the main one alone writes.

    They come together one by one, on the processor of the main process.
    """
    main, gathered = is_main_process(), {}
    for name, tensor in tensors.items():
        full = full_tensor(tensor.detach())
        if main:
            gathered[name] = full.cpu().contiguous()
    if main:
        with atomic_file(path) as temporary:
            save_file(gathered, temporary, metadata=metadata)
