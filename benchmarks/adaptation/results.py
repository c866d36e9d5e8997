"""What the arms over one base came to, and the comparisons that the page makes of it."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ekle.files import read_json

from .arms import CONTROLS, Arm
from .places import Job, Places
from .sizes import BaseName

Result = dict[str, Any]
Value = Callable[[Result], float]

START, ENGLISH, FLAT = 1.10, 0.01, 0.005
"""Targets: at most so much of the base before training; English at most so much worse than the control's; the
last fifth of the base's own training lowers Turkish by at most so much."""


@dataclass(frozen=True)
class Results:
    """Results by arm, one a seed.

    Whatever is chosen (the control's rate, the best arm) is chosen by the text for that; arms among those
    with as many seeds as the control has. Every figure is of the page's text.
    """

    found: dict[Arm, list[Result]]

    @property
    def control(self) -> Arm:
        """The unchanged tokenizer at the rate that is best for it, by the first seed."""
        there = [arm for arm in CONTROLS if arm in self.found]
        return min(there, key=lambda arm: self.found[arm][0]["choose"]["turkish"])

    def others(self) -> list[Arm]:
        """Arms with new tokens, the best at the end first."""
        arms = [arm for arm in self.found if arm.init is not None]
        return sorted(arms, key=lambda arm: self.against(arm, end)[0])

    def first(self) -> Arm | None:
        """The arm with new tokens that is lowest before training."""
        return min(self._compared(), key=lambda arm: self.mean(arm, _chosen("start")), default=None)

    def best(self) -> Arm | None:
        """The arm with new tokens that is lowest at equal compute, of those that keep English; if none does,
        of all."""
        arms = self._compared()
        english = (1 + ENGLISH) * self.mean(self.control, _chosen("english"))
        keeping = [arm for arm in arms if self.mean(arm, _chosen("english")) <= english]
        return min(keeping or arms, key=lambda arm: self.mean(arm, _chosen("turkish")), default=None)

    def _compared(self) -> list[Arm]:
        seeds = len(self.found[self.control])
        return [arm for arm in self.found if arm.init is not None and len(self.found[arm]) == seeds]

    def mean(self, arm: Arm, value: Value) -> float:
        """Over the seeds."""
        return statistics.fmean(map(value, self.found[arm]))

    def same_rate(self, arm: Arm) -> Arm | None:
        """The unchanged tokenizer at the rate of `arm`."""
        return next((each for each in CONTROLS if each in self.found and each.rate == arm.rate), None)

    def against(self, arm: Arm, value: Value, control: Arm | None = None) -> tuple[float, list[float]]:
        """Change against the control (or another) of the same seed: the mean, and each."""
        others = self.found[control or self.control]
        of_control = {result["seed"]: value(result) for result in others}
        changes = [
            value(result) / of_control[result["seed"]] - 1
            for result in self.found[arm]
            if result["seed"] in of_control
        ]
        return statistics.fmean(changes), changes

    def gain(self) -> tuple[float, list[float]]:
        """What the control's training changes about the base: the mean over seeds, and each."""
        changes = [end(result) / at(0)(result) - 1 for result in self.found[self.control]]
        return statistics.fmean(changes), changes

    def curve(self, arm: Arm) -> list[tuple[float, float]]:
        """Share of the control's compute, held-out Turkish (mean of the seeds), up to equal compute."""
        one = self.found[arm][0]
        points = []
        for step in sorted(map(int, one["turkish"])):
            values = [result["turkish"].get(str(step)) for result in self.found[arm]]
            if step <= one["compute_steps"] and None not in values:
                points.append((one["rows_share"] + step * one["step_share"], statistics.fmean(values)))
        last = (1.0, self.mean(arm, end))
        return [*(point for point in points if point[0] < 0.99), last]


def _chosen(part: str) -> Value:
    return lambda result: float(result["choose"][part])


def results_over(base: BaseName, jobs: Sequence[Job], places: Places) -> Results:
    """Those that are there."""
    found: dict[Arm, list[Result]] = {}
    for job in jobs:
        if job.base == base and job.arm is not None and places.result(job).exists():
            found.setdefault(job.arm, []).append(read_json(places.result(job)))
    return Results(found)


def end(result: Result) -> float:
    """Turkish at equal compute."""
    return float(result["turkish"][str(result["compute_steps"])])


def at_equal_bytes(result: Result) -> float:
    """Turkish where as much text has been read as the control reads."""
    return float(result["turkish"][str(result["bytes_steps"])])


def english(result: Result) -> float:
    """English at equal compute."""
    return float(result["english"])


def at(step: int) -> Value:
    """Turkish at a step; nan if it was not measured there."""
    return lambda result: float(result["turkish"].get(str(step), math.nan))
