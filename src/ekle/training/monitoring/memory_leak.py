"""Memory in use, how fast it grows, and how many steps the free memory lasts.

A leak of a megabyte per step ends a run of hours, mostly at night. The slope is the Theil-Sen estimator: the
median of the slopes between all pairs of points, which one large batch or a checkpoint hardly changes.
"""

import itertools
import resource
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ekle.progress import ProgressReporter

_SURE = 0.9  # share of the pairs that must rise before growth counts as a leak
_STATUS, _SYSTEM = Path("/proc/self/statm"), Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")  # control groups (version 2): the memory of a container


@dataclass(frozen=True)
class Reading:
    """Memory at one moment, in bytes."""

    in_use: int
    """PyTorch's tensors on a GPU, otherwise the memory of the process."""
    peak: int
    """The largest so far."""
    free: int | None
    """Free memory; None if the system does not tell."""


Read = Callable[[torch.device], Reading]


def read_memory(device: torch.device) -> Reading:
    """The memory of this process on `device`."""
    if device.type == "cuda":
        in_use, peak = torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
        kept = torch.cuda.memory_reserved(device) - in_use  # free for PyTorch alone
        return Reading(in_use, peak, torch.cuda.mem_get_info(device)[0] + kept)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    if not _STATUS.exists():  # no Linux
        return Reading(peak, peak, None)
    in_use = int(_STATUS.read_text("ascii").split()[1]) * resource.getpagesize()
    return Reading(in_use, max(peak, in_use), _free())


def _free() -> int:
    """Bytes that are free for this process in the system, or in its container."""
    lines = dict(line.split(":", 1) for line in _SYSTEM.read_text("ascii").splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    most = _CONTAINER / "memory.max"
    if most.exists() and (limit := most.read_text("ascii").strip()).isdigit():
        used = int((_CONTAINER / "memory.current").read_text("ascii"))
        # Cached file pages count as used, but the system frees them when memory is needed.
        kinds = dict(line.split() for line in (_CONTAINER / "memory.stat").read_text("ascii").splitlines())
        free = min(free, int(limit) - used + int(kinds["inactive_file"]))
    return max(free, 0)


@dataclass
class LeakDetector:
    """Follows the memory of one process, one point per log line.

    Args:
        device: whose memory is read.
        lines: points that a slope needs; 0 never gives one.
        read: gives the points.
    """

    device: torch.device
    lines: int
    read: Read = read_memory
    _points: deque[tuple[int, int]] = field(init=False)
    _last: Reading | None = None
    _warned: bool = False

    def __post_init__(self) -> None:
        self._points = deque(maxlen=max(self.lines, 1))

    def record(self, step: int) -> dict[str, float]:
        """Read the memory after `step` steps; figures for the log line, with the slope once it is known."""
        if self._points and self._points[-1][0] >= step:
            self._points.clear()  # the run has rolled back
        self._last = self.read(self.device)
        self._points.append((step, self._last.in_use))
        figures: dict[str, float] = {
            "memory_bytes": self._last.peak,
            "memory_in_use": self._last.in_use,
        }
        if self._known:
            figures["memory_slope"] = statistics.median(self._slopes())
        return figures

    def leak(self, steps_to_go: int, reporter: ProgressReporter) -> str | None:
        """Why the run must stop now; None if it may go on.

        A leak is reported as soon as it is certain that the memory will not last to the end. The run stops
        when the free memory would not last for as many steps again as the slope was taken over.
        """
        left = self.steps_left()
        if left is None or left >= steps_to_go or self._last is None:
            return None
        text = (
            f"memory grows by {statistics.median(self._slopes()) / 1e6:,.2f} MB per step, "
            f"{self._last.in_use / 1e9:.1f} GB are in use and the rest lasts for {left:,.0f} steps"
        )
        if left <= self._span:
            return text
        if not self._warned:
            self._warned = True
            reporter.say(f"{text}: the run will have to stop before its end", memory=self._last.in_use)
        return None

    def steps_left(self) -> float | None:
        """Steps until the memory is full; None if it does not certainly grow, or if that is unknown."""
        if self._last is None or self._last.free is None or not self._known:
            return None
        slopes = self._slopes()
        slope = statistics.median(slopes)
        if slope <= 0 or sum(each > 0 for each in slopes) < _SURE * len(slopes):
            return None
        return self._last.free / slope

    @property
    def _span(self) -> int:
        return self._points[-1][0] - self._points[0][0]

    @property
    def _known(self) -> bool:
        return 1 < self.lines == len(self._points)

    def _slopes(self) -> list[float]:
        pairs = itertools.combinations(self._points, 2)
        return [(late[1] - early[1]) / (late[0] - early[0]) for early, late in pairs]
