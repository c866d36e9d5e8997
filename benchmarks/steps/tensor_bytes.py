"""Counts the bytes of all live tensors, on any device, and of tensors without memory, too."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_BINCOUNT = torch.ops.aten.bincount.default
_SCALAR = torch.ops.aten._local_scalar_dense.default


class TensorBytes(TorchDispatchMode):
    """Inside, every storage counts from the operation that creates it until nothing refers to it.

    Memory that a kernel allocates and frees within one operation is not seen. Tensors without memory
    (`torch._subclasses.FakeTensorMode`) have no values. Where the engine reads one, it gets a value that does
    not change any size: true for "is it finite", one length per token for a count.

    Attributes:
        now: bytes that are alive.
        peak: the largest value of `now`.
    """

    def __init__(self, present: Iterable[Tensor] = (), *, fake: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch gives it no types
        self.now = self.peak = 0
        self._alive: dict[int, int] = {}
        self._fake = fake
        for tensor in present:
            self._see(tensor)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self._fake and function is _SCALAR:
            return True if args[0].dtype == torch.bool else 1
        if self._fake and function is _BINCOUNT:
            made = torch.empty_like(args[0])
        else:
            made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            self._see(tensor)
        return made

    def _see(self, tensor: Any) -> None:
        if not isinstance(tensor, Tensor):
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._alive.pop(key, 0)
