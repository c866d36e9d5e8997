"""FSDP2, which shards one model over the processes of a training (`ekle.model.processes`).

    a decoder layer    one group: gathered when a forward or backward pass needs it, and released again
    all the rest       one group (embedding, head, last norm): gathered for a whole pass, because the
                       chunked cross-entropy reads the head's rows outside the head

Within a group, frozen and learning weights may differ in precision. All learning weights must have the same
one, and have float32. Weights, gradients and optimiser states are sharded by rows (`ekle.model.distributed`).
Gradients are reduced and sharded after every backward pass. To do so only after the last one of a step would
need memory for all of them in every process.

transformers' own `TrainingArguments(fsdp=...)` is not used: it does not know these groups, and without a GPU
it silently becomes DDP.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from ekle.training.objective import Found, Objective


def shard(objective: Objective, device: torch.device) -> None:
    """Shard the weights over all processes, on `device`; the parameters are new objects afterwards.

    Each layer is moved to the device as a whole and then sharded, so no device holds more than one full
    layer, or the full rest.
    """
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    for layer in objective.language_model.get_decoder().layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(objective, mesh=mesh, reshard_after_forward=False)
    register_fsdp_forward_method(objective, "measured")


def is_sharded(objective: Objective) -> bool:
    """Whether its weights are sharded over processes."""
    return isinstance(objective, FSDPModule)


def measure(objective: Objective, found_in: Callable[[Any], Found]) -> Found:
    """What `found_in` finds in the language model of `objective`, sharded or not; for all processes."""
    found = objective.measured(found_in)
    if isinstance(objective, FSDPModule):
        objective.reshard()
    return found
