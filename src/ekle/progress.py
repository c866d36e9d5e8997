"""The one place that prints: bars on a terminal and in a notebook, plain lines elsewhere, events on disk."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as BarTask
from rich.text import Text

from ekle.files import JSON_ESCAPES

Unit = Literal[
    "",
    "bytes",
    "answers",
    "lines",
    "matrices",
    "merges",
    "prompts",
    "sequences",
    "steps",
    "tensors",
    "texts",
    "tokens",
]
"""What a task counts, in the plural; a type, so that no line says step/s where another says steps/s."""

_PLAIN_SECONDS = 10.0  # a log file gets one line per task in this time, not one per step


class Task:
    """A piece of work under way; `advance` moves its bar."""

    def __init__(self, reporter: "ProgressReporter", label: str, total: float | None, unit: Unit) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self._reporter = reporter
        self._started = self._said = time.monotonic()
        self._bar: TaskID | None = None

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Count `amount` more units as done; `note` is shown at the end of the bar."""
        self.done += amount
        self._reporter._moved(self, note)

    def rate(self) -> str:
        """The speed so far, such as "12.3 steps/s" or "14.2 s each"; bytes as "4.5 MB/s" (10^6)."""
        speed = self.done / max(time.monotonic() - self._started, 1e-9)
        if self.unit == "bytes":
            return f"{speed / 1e6:,.1f} MB/s"
        if 0 < speed < 1:
            return f"{1 / speed:,.1f} s each"
        return f"{speed:,.1f} {self.unit}/s" if speed < 100 else f"{speed:,.0f} {self.unit}/s"

    def share(self) -> str:
        """How far it is: "40 %" of a known total, else the amount done."""
        if self.total:
            return f"{min(self.done / self.total, 1):.0%}".replace("%", " %")
        return f"{self.done:,.0f} {self.unit}".strip()

    def left(self) -> str:
        """The time that is left at this speed, such as "0:12:30 left"; empty in the first hundredth."""
        if not self.total or self.done < self.total / 100:
            return ""
        seconds = (time.monotonic() - self._started) * (self.total - self.done) / self.done
        return f"{timedelta(seconds=round(max(seconds, 0)))} left"


class ProgressReporter:
    """Reports what happens, to the user and to `events.jsonl`.

    Text is printed as it is: square brackets are no markup.

    Args:
        console: where to print; None says nothing.
        events: a file that gets one JSON line per event; None writes none.
    """

    def __init__(self, console: Console | None = None, events: Path | None = None) -> None:
        self._console = console
        self._events = events
        self._progress: Progress | None = None

    def recording(self, events: Path) -> "ProgressReporter":
        """A report that prints where this one does and records into `events`."""
        return ProgressReporter(self._console, events)

    def say(self, text: str, **figures: Any) -> None:
        """Print one line and record it with its figures."""
        self._print(text)
        self.event("say", text=text, **figures)

    def event(self, kind: str, **fields: Any) -> None:
        """Record something in `events.jsonl` without printing it."""
        if self._events:
            self._events.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps(
                {"time": round(time.time(), 3), "kind": kind, **fields}, ensure_ascii=False, default=str
            )
            with self._events.open("a", encoding="utf-8", errors=JSON_ESCAPES) as handle:
                handle.write(line + "\n")

    @contextmanager
    def stage(self, label: str) -> Iterator[None]:
        """A bar that moves while a stage of unknown length runs; its tasks get bars below."""
        with self._live() as progress:
            bar = progress.add_task(label, total=None, share="", rate="") if progress else None
            try:
                yield
            finally:
                if progress and bar is not None:
                    progress.remove_task(bar)

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: Unit = "") -> Iterator[Task]:
        """A bar named `label` for `total` units of work (None: unknown); nested tasks get bars below."""
        task = Task(self, label, total, unit)
        ended = "failed"
        with self._live() as progress:
            task._bar = progress.add_task(label, total=total, share="", rate="") if progress else None
            try:
                yield task
                ended = "done"
            finally:
                seconds = round(time.monotonic() - task._started, 3)
                if progress and task._bar is not None:
                    progress.remove_task(task._bar)
                self.event("task", label=label, ended=ended, done=task.done, unit=unit, seconds=seconds)

    @contextmanager
    def _live(self) -> Iterator[Progress | None]:
        """The bars on the terminal, opened by the outermost task; None where there is no terminal."""
        if self._progress is not None or not (self._console and _moves(self._console)):
            yield self._progress
            return
        self._progress = _bars(self._console)
        self._progress.start()
        try:
            yield self._progress
        finally:
            self._progress.stop()
            self._progress = None

    def _print(self, text: str) -> None:
        if self._console:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _moved(self, task: Task, note: str) -> None:
        if self._progress is not None and task._bar is not None:
            rate = f"{task.rate()}  {note}".rstrip()
            self._progress.update(
                task._bar, completed=task.done, total=task.total, share=task.share(), rate=rate
            )
        elif self._console and time.monotonic() - task._said > _PLAIN_SECONDS:
            task._said = time.monotonic()
            parts = [task.share(), task.rate(), task.left()]
            self._print(f"  {task.label}: {', '.join(filter(None, parts))}  {note}".rstrip())


def _moves(console: Console) -> bool:
    """Whether bars can move here: on a terminal, and in a notebook that has widgets.

    A command that a notebook's cell starts with `!` writes to something that calls itself a terminal and
    cannot move its cursor up; it gets plain lines.
    """
    if console.is_jupyter:
        return find_spec("ipywidgets") is not None
    return console.is_terminal and "JPY_PARENT_PID" not in os.environ


class _Left(TimeRemainingColumn):
    """The time that is left, with the word; nothing where the length is unknown."""

    def render(self, task: BarTask) -> Text:
        if task.total is None or task.time_remaining is None:
            return Text("")
        return super().render(task).append(" left")


def _bars(console: Console) -> Progress:
    """Bars with share, time and speed; they vanish when their task ends, and printed lines stay."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[share]}", markup=False),
        TimeElapsedColumn(),
        _Left(),
        TextColumn("{task.fields[rate]}", markup=False),
        console=console,
        transient=True,
    )


def silent() -> ProgressReporter:
    """A report that says and records nothing, for library use and tests."""
    return ProgressReporter()
