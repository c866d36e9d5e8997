"""Making things before they are asked for.

The tokenizer works outside Python's lock, so a thread is enough to have the next batches ready while the
model is busy. What is made ahead and never used costs nothing on resuming: each batch carries the place
behind itself, and a run goes on from the last one that it used.
"""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_LOOK = 0.1  # seconds after which a thread with nothing to do looks whether it is still wanted


def ahead(items: Iterator[Item], most: int) -> Generator[Item, None, None]:
    """The same items in the same order, of which a thread makes up to `most` in advance.

    An exception that `items` raises is raised where the item would have come. The thread ends when the
    generator that is returned is closed.
    """
    made: queue.Queue[Item | BaseException] = queue.Queue(most)
    over = threading.Event()
    maker = threading.Thread(target=_make, args=(items, made, over), daemon=True)
    maker.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, StopIteration):
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        maker.join()


def _make(items: Iterator[Item], made: "queue.Queue[Item | BaseException]", over: threading.Event) -> None:
    """Put items, and the exception after which there are none, until `over` is set."""
    item: Item | BaseException
    while not over.is_set():
        try:
            item = next(items)
        except BaseException as error:  # it belongs to whoever waits for the item
            item = error
        while not over.is_set():
            try:
                made.put(item, timeout=_LOOK)
                break
            except queue.Full:
                continue
        if isinstance(item, BaseException):
            return
