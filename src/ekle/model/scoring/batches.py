"""Batches that become smaller when the device runs out of memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from ekle.errors import DeviceMemoryError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_batches(
    items: Sequence[Item],
    size: int,
    work: Callable[[Sequence[Item]], Sequence[Result]],
    cure: str,
    may_shrink: bool = True,
) -> Iterator[Result]:
    """The result of `work` for each of `items`, in order.

    Args:
        items: what to work on.
        size: items in the first batch; halved each time the device runs out of memory, and never raised
            again, because what did not fit once will not fit later.
        work: gives one result per item.
        cure: the setting to lower if not even one item fits, such as "evaluation.context".
        may_shrink: whether batches may become smaller; they must not where other processes take part.

    Raises:
        torch.OutOfMemoryError: a batch that may not shrink does not fit.
        DeviceMemoryError: not even one item fits the device's memory.
    """
    start = 0
    while start < len(items):
        batch = items[start : start + size]
        try:
            results = work(batch)
        except torch.OutOfMemoryError as error:
            if not may_shrink:
                raise
            if size == 1:
                raise DeviceMemoryError(f"the device has no memory for this; lower {cure}") from error
            size = max(min(size, len(batch)) // 2, 1)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield from results
        start += len(batch)
