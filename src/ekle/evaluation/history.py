"""What earlier stages reported, as far as they did: the vocabulary, and the logs of the trainings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ekle.artifacts import BaseModel, Checkpoint
from ekle.files import read_json

_LISTS = ("other", "protected", "rarely_used")
"""What is long in a vocabulary's report and not repeated in the evaluation's; the page beside it shows it."""

Log = list[dict[str, Any]]


def vocabulary_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a vocabulary without its long lists."""
    return {key: value for key, value in report.items() if key not in _LISTS}


def training_logs(base: BaseModel, checkpoint: Checkpoint) -> dict[str, Log]:
    """`base`: the pre-training of a model that was built here; `extended`: the training after extension.

    A log that does not exist, because the base came from elsewhere, is absent.
    """
    logs = {"base": _base_log(base.folder), "extended": checkpoint.history}
    return {name: log for name, log in logs.items() if log}


def curve(log: Log, key: str) -> tuple[list[float], list[float]]:
    """Steps and values of the entries that hold `key`."""
    points = [(entry["step"], entry[key]) for entry in log if key in entry and "step" in entry]
    return [step for step, _ in points], [value for _, value in points]


def _base_log(folder: Path) -> Log:
    log: Log = read_json(folder / "base.json").get("curve", [])
    return log
