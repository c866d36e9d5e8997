"""Memory in use, and whether it grows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ekle.training.monitoring.memory_leak import LeakDetector, Read, Reading, read_memory

CPU = torch.device("cpu")


def rising(start: int, by: list[int], free: int = 10_000) -> Read:
    """A reader that gives `start` and then grows by `by`, one after the other."""
    numbers: Iterator[int] = iter(by)
    now = start

    def read(device: torch.device) -> Reading:
        nonlocal now
        here = now
        now += next(numbers, 0)
        return Reading(here, here, free)

    return read


def watched(by: list[int], lines: int = 5) -> LeakDetector:
    watch = LeakDetector(CPU, lines, rising(1_000, by))
    for step in range(10, 10 * len(by) + 20, 10):
        watch.record(step)
    return watch


def test_a_reading_knows_what_the_process_holds_and_what_is_left() -> None:
    block = torch.ones(2**22)  # 16 MB
    before = read_memory(CPU)
    more = torch.ones(2**24)  # 64 MB
    after = read_memory(CPU)
    assert after.in_use - before.in_use > 50 * 2**20
    assert after.peak >= after.in_use > 4 * block.numel()
    assert after.free is None or after.free > 0
    del more


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, which this system lacks")
def test_what_a_container_keeps_of_files_is_not_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists, read_text, container = Path.exists, Path.read_text, Path("/sys/fs/cgroup")

    def redirected(path: Path) -> Path:
        return tmp_path / path.relative_to(container) if path.is_relative_to(container) else path

    monkeypatch.setattr(Path, "exists", lambda path: exists(redirected(path)))
    monkeypatch.setattr(Path, "read_text", lambda path, *more: read_text(redirected(path), *more))
    (tmp_path / "memory.max").write_text("1000\n", "ascii")
    (tmp_path / "memory.current").write_text("900\n", "ascii")
    (tmp_path / "memory.stat").write_text("anon 200\nfile 700\ninactive_file 600\nactive_file 100\n", "ascii")
    assert read_memory(CPU).free == 700
    (tmp_path / "memory.max").write_text("max\n", "ascii")
    assert (read_memory(CPU).free or 0) > 700, "without a limit, what the system has"


def test_steady_growth_has_a_slope_and_an_end() -> None:
    watch = watched([100] * 4)
    assert watch.record(60)["memory_slope"] == 10.0, "the last line, without growth, does not bend it"
    assert watched([100] * 4).steps_left() == 10_000 / 10


def test_one_leap_is_no_leak() -> None:
    watch = watched([0, 5_000, 0, 0])
    assert watch.record(60)["memory_slope"] == 0
    assert watch.steps_left() is None


def test_memory_that_comes_and_goes_is_no_leak() -> None:
    assert watched([300, -200, 300, -350]).steps_left() is None


def test_too_few_lines_say_nothing() -> None:
    watch = LeakDetector(CPU, 5, rising(0, [100] * 9))
    assert "memory_slope" not in watch.record(10)
    assert watch.steps_left() is None
    off = watched([100] * 9, lines=0)
    assert "memory_slope" not in off.record(999)
    assert off.steps_left() is None


def test_a_rollback_starts_anew() -> None:
    watch = watched([100] * 4)
    assert "memory_slope" not in watch.record(10)
