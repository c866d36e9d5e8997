"""What is made ahead is what would have been made anyway."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from ekle.training.text.ahead import ahead


def test_the_items_and_their_order_are_the_same() -> None:
    assert list(ahead(iter(range(1000)), 3)) == list(range(1000))


def test_no_more_than_asked_for_is_made_in_advance() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with closing(ahead(items(), 4)) as taken:
        assert [next(taken) for _ in range(10)] == list(range(10))
        deadline = time.monotonic() + 5
        while len(made) < 14 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert 14 <= len(made) <= 15  # ten taken, four waiting, one in the hand


def test_an_error_comes_where_the_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    taken = ahead(items(), 5)
    assert next(taken) == 1
    with pytest.raises(ValueError, match="two"):
        next(taken)


def test_the_thread_ends_with_the_iterator() -> None:
    before = threading.active_count()
    with closing(ahead(iter(range(10**9)), 2)) as taken:
        next(taken)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
