"""One model over several processes: FSDP2, PyTorch's fully sharded data parallelism.

    a decoder layer    one group: gathered when it is needed, forwards and backwards, and let go again
    all the rest       one group (embedding, head, last norm): gathered for the whole of a pass, because the
                       chunked cross-entropy reads the head's rows outside the head

Within a group, frozen weights and learning ones may differ in precision; what learns must be alike, and is
(float32). A learning parameter, its gradient and its optimiser state are spread over the processes by rows
(`ekle.model.spread`), frozen weights too. Gradients are summed and spread after every backward pass and not
only after the last of a step, which would need room for all of them in every process.

transformers' own `TrainingArguments(fsdp=...)` is not used: it knows nothing of these groups, and without a
GPU it becomes DDP and says nothing.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from ekle.training.objective import Found, Objective


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
