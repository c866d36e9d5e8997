"""Results of the variants over one base, and the comparisons that the page makes of them."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.ablation.new_rows.jobs import Job, WorkFolders
from benchmarks.ablation.new_rows.variants import CONTROLS, Variant
from benchmarks.ablation.sizes import BaseName
from ekle.files import read_json

Result = dict[str, Any]
Metric = Callable[[Result], float]

MAX_START, MAX_ENGLISH_CHANGE, MAX_LAST_FIFTH = 1.10, 0.01, 0.005
"""Targets: bits per byte before training, as a multiple of the base's; English, as a change against the
control's; what the last fifth of the base's own training lowers Turkish by."""


@dataclass(frozen=True)
class Results:
    """Results by variant, one per seed.

    Choices (the control's rate, the best variant) are made on the validation text, among the variants with as
    many seeds as the control. Every figure is of the test text.
    """

    found: dict[Variant, list[Result]]

    @property
    def control(self) -> Variant:
        """The unchanged tokenizer at its best rate, by the first seed."""
        there = [variant for variant in CONTROLS if variant in self.found]
        return min(there, key=lambda variant: self.found[variant][0]["validation"]["turkish"])

    def ranked(self) -> list[Variant]:
        """Variants with new tokens, by Turkish at equal compute, the lowest first."""
        variants = [variant for variant in self.found if variant.init is not None]
        return sorted(variants, key=lambda variant: self.change_against(variant, end)[0])

    def lowest_at_start(self) -> Variant | None:
        """The variant with new tokens that is lowest before training."""
        return min(
            self._compared(), key=lambda variant: self.mean(variant, _validation("start")), default=None
        )

    def lowest_at_end(self) -> Variant | None:
        """The variant with new tokens that is lowest at equal compute, among those that keep English.

        Where none keeps English, it is the lowest of all.
        """
        variants = self._compared()
        english = (1 + MAX_ENGLISH_CHANGE) * self.mean(self.control, _validation("english"))
        keeping = [variant for variant in variants if self.mean(variant, _validation("english")) <= english]
        return min(
            keeping or variants, key=lambda variant: self.mean(variant, _validation("turkish")), default=None
        )

    def _compared(self) -> list[Variant]:
        seeds = len(self.found[self.control])
        return [
            variant
            for variant in self.found
            if variant.init is not None and len(self.found[variant]) == seeds
        ]

    def mean(self, variant: Variant, value: Metric) -> float:
        """The mean over the seeds."""
        return statistics.fmean(map(value, self.found[variant]))

    def same_rate(self, variant: Variant) -> Variant | None:
        """The unchanged tokenizer at the rate of `variant`."""
        return next((each for each in CONTROLS if each in self.found and each.rate == variant.rate), None)

    def change_against(
        self, variant: Variant, value: Metric, control: Variant | None = None
    ) -> tuple[float, list[float]]:
        """Change against the same seed of the control (or of another): the mean, and per seed."""
        others = self.found[control or self.control]
        of_control = {result["seed"]: value(result) for result in others}
        changes = [
            value(result) / of_control[result["seed"]] - 1
            for result in self.found[variant]
            if result["seed"] in of_control
        ]
        return statistics.fmean(changes), changes

    def gain(self) -> tuple[float, list[float]]:
        """Change of the base by the control's training: the mean, and per seed."""
        changes = [end(result) / at(0)(result) - 1 for result in self.found[self.control]]
        return statistics.fmean(changes), changes

    def curve(self, variant: Variant) -> list[tuple[float, float]]:
        """Points (share of the control's compute, Turkish as the mean over seeds), up to equal compute."""
        one = self.found[variant][0]
        points = []
        for step in sorted(map(int, one["turkish"])):
            values = [result["turkish"].get(str(step)) for result in self.found[variant]]
            if step <= one["compute_steps"] and None not in values:
                points.append((one["rows_share"] + step * one["step_share"], statistics.fmean(values)))
        last = (1.0, self.mean(variant, end))
        return [*(point for point in points if point[0] < 0.99), last]


def _validation(part: str) -> Metric:
    return lambda result: float(result["validation"][part])


def results_over(base: BaseName, jobs: Sequence[Job], work_folders: WorkFolders) -> Results:
    """The results over `base` that are there."""
    found: dict[Variant, list[Result]] = {}
    for job in jobs:
        if job.base == base and work_folders.result(job).exists():
            found.setdefault(job.variant, []).append(read_json(work_folders.result(job)))
    return Results(found)


def end(result: Result) -> float:
    """Turkish at equal compute."""
    return float(result["turkish"][str(result["compute_steps"])])


def at_equal_bytes(result: Result) -> float:
    """Turkish at the step by which as much text has been read as the control reads."""
    return float(result["turkish"][str(result["bytes_steps"])])


def english(result: Result) -> float:
    """English at equal compute."""
    return float(result["english"])


def at(step: int) -> Metric:
    """Turkish at a step; NaN if it was not measured there."""
    return lambda result: float(result["turkish"].get(str(step), math.nan))
