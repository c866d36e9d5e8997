"""What the reporter prints and records."""

import io
import json
import sys
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from rich.console import Console

from ekle import progress
from ekle.progress import ProgressReporter, silent

_FRAMES = 0.25  # seconds in which a live display draws itself at least twice


def _printed(*, terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=100, color_system=None), text


def test_what_is_said_is_printed_as_it_is_and_recorded(tmp_path: Path) -> None:
    console, text = _printed(terminal=False)
    ProgressReporter(console, tmp_path / "events.jsonl").say("[bold] is no markup", tokens=5)
    assert text.getvalue() == "[bold] is no markup\n"
    event = json.loads((tmp_path / "events.jsonl").read_text("utf-8"))
    assert (event["kind"], event["tokens"]) == ("say", 5)


def test_a_task_shows_its_share_and_its_rate_on_a_terminal() -> None:
    console, text = _printed(terminal=True)
    with ProgressReporter(console).task("counting", total=200, unit="lines") as task:
        task.advance(100, note="almost")
        time.sleep(_FRAMES)
    assert "counting" in text.getvalue()
    assert "50 %" in text.getvalue()
    assert "lines/s  almost" in text.getvalue()


def test_a_task_within_a_task_has_a_bar_of_its_own() -> None:
    console, text = _printed(terminal=True)
    reporter = ProgressReporter(console)
    with reporter.task("outer", total=2) as outer, reporter.task("inner", total=4) as inner:
        outer.advance()
        inner.advance()
        time.sleep(_FRAMES)
    assert "outer" in text.getvalue()
    assert "25 %" in text.getvalue()


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    console, text = _printed(terminal=False)
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with ProgressReporter(console).task("training", total=10, unit="steps") as task:
        now = 5.0
        task.advance()
        assert text.getvalue() == "", "not a line a step"
        now = 15.0
        task.advance()
    assert text.getvalue().startswith("  training: 20 %, ")


def test_bytes_are_given_in_megabytes_and_an_unknown_total_as_an_amount() -> None:
    with silent().task("reading", unit="bytes") as task:
        task.advance(5_000_000)
        assert task.rate().endswith(" MB/s")
        assert task.share() == "5,000,000 bytes"


def test_a_task_that_fails_is_recorded_as_failed(tmp_path: Path) -> None:
    reporter = silent().recording(tmp_path / "events.jsonl")
    with pytest.raises(ZeroDivisionError), reporter.task("dividing"):
        _ = 1 / 0
    with reporter.task("adding"):
        pass
    ended = [json.loads(line)["ended"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert ended == ["failed", "done"]


def test_a_stage_shows_that_it_is_alive_before_its_first_task_and_between_two() -> None:
    console, text = _printed(terminal=True)
    reporter = ProgressReporter(console)
    with reporter.stage("2-vocabulary"):
        time.sleep(_FRAMES)
        with reporter.task("learning", total=4) as task:
            task.advance()
            time.sleep(_FRAMES)
        shown = len(text.getvalue())
        time.sleep(_FRAMES)
        assert "2-vocabulary" in text.getvalue()[shown:], "the stage's bar goes on after the task's"
    shown = len(text.getvalue())
    time.sleep(_FRAMES)
    assert len(text.getvalue()) == shown, "nothing moves after the stage"
    assert "2-vocabulary" in text.getvalue()
    assert "learning" in text.getvalue()


def test_a_line_of_a_log_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    console, text = _printed(terminal=False)
    now = iter((0.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with ProgressReporter(console).task("training", total=10, unit="steps") as task:
        task.advance()
    assert "10 %, 100.0 s each, 0:15:00 left" in text.getvalue()


def test_bars_move_in_a_notebook_with_widgets_and_nowhere_else_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    widgets = MagicMock()
    for name in ("ipywidgets", "IPython", "IPython.display"):
        monkeypatch.setitem(sys.modules, name, widgets)
    notebook = Console(file=io.StringIO(), force_jupyter=True)

    def show(console: Console) -> None:
        with ProgressReporter(console).task("counting", total=2) as task:
            task.advance()

    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    show(notebook)
    assert not widgets.Output.called
    monkeypatch.setattr(progress, "find_spec", lambda name: object())
    show(notebook)
    assert widgets.Output.called
    console, text = _printed(terminal=True)
    show(console)
    assert "counting" in text.getvalue()
    monkeypatch.setenv("JPY_PARENT_PID", "1")  # what a cell has started with an exclamation mark
    console, text = _printed(terminal=True)
    show(console)
    assert text.getvalue() == ""
