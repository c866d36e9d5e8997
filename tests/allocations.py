"""What PyTorch allocates while some code runs, seen from below autograd and compiled kernels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):
    """Notes the largest tensor that is made: not a view, and not a change in place. Backward passes count.

    Tensors on `meta` have a shape and no memory, and do not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.shape: tuple[int, ...] = ()
        self.made_by = ""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        before = {_storage(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        for each in tree_leaves(result):
            if not isinstance(each, Tensor) or each.is_meta or _storage(each) in before:
                continue
            if each.numel() > self.largest:
                self.largest, self.shape, self.made_by = each.numel(), tuple(each.shape), str(function)
        return result


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Peak:
    """Filled when the measuring is over."""

    bytes = 0
    """The most that was alive at once, beyond what was before."""


@contextmanager
def measured_peak(*before: Any) -> Iterator[Peak]:
    """Measure the memory of tensors, modules and optimisers made inside, beyond those given."""
    tracker, peak = MemTracker(), Peak()
    tracker.track_external(*before)
    with tracker:
        start = _total(tracker.get_tracker_snapshot("current"))
        yield peak
        peak.bytes = _total(tracker.get_tracker_snapshot("peak")) - start


def _total(snapshot: dict[torch.device, dict[str, int]]) -> int:
    return sum(sizes["Total"] for sizes in snapshot.values())
