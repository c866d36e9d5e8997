"""`ekle compare` of evaluations that were made before: figure beside figure, from their report.json.

Two figures are *apart* where the interval of each leaves the other's out. That is stricter than a test on
their difference, which would need the documents: of two that are not apart nothing is claimed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ekle.errors import InputError
from ekle.evaluation.names import FORMAT
from ekle.files import read_json

Figures = Mapping[str, Any]

_SECTIONS = (
    "tokens",
    "drift",
    "morphology",
    "beside",
    "likelihood",
    "divergence",
    "generated",
    "translation",
    "tasks",
    "inference",
)
"""Keys of report.json whose figures are compared."""


def read_report(path: Path) -> Figures:
    """The figures in `path`: a report.json or a folder with one.

    Raises:
        InputError: there is none, it is no evaluation's, or it is of a later format.
    """
    file = path / "report.json" if path.is_dir() else path
    figures = read_json(file)
    if not isinstance(figures, dict) or not {"format", "texts", "settings"} <= set(figures):
        raise InputError(
            f"{file} is no report of ekle evaluate; to compare tokenizers name a text with --text"
        )
    if figures["format"] != FORMAT:
        raise InputError(
            f"{file} has format {figures['format']} and this ekle reads {FORMAT}; evaluate again"
        )
    return figures


def compare_reports(reports: Mapping[str, Figures]) -> dict[str, Any]:
    """The figures that the first of `reports` shares with another, and what makes them hard to compare.

    Returns:
        `figures`: a row each with `figure` (its keys in report.json), `values` by report (an object with
        `value` and, where known, `low` and `high`; absent where not measured), and `apart`, by report,
        whether it lies apart from the first's, absent where an interval is not known. `different`: the
        texts and settings that are not the same in all reports.
    """
    found = {name: dict(_figures(report)) for name, report in reports.items()}
    first, *others = found
    rows = []
    for path, figure in found[first].items():
        values = {name: own[path] for name, own in found.items() if path in own}
        if len(values) > 1:
            apart = {
                name: _apart(figure, values[name])
                for name in others
                if name in values and "low" in figure and "low" in values[name]
            }
            rows.append({"figure": list(path), "values": values, "apart": apart})
    return {"figures": rows, "different": _different(list(reports.values()))}


def _figures(report: Figures) -> Iterator[tuple[tuple[str, ...], dict[str, float]]]:
    """Every figure that is an object with a value, with the keys that lead to it."""
    for section in _SECTIONS:
        yield from _below((section,), report.get(section, {}))


def _below(path: tuple[str, ...], part: Any) -> Iterator[tuple[tuple[str, ...], dict[str, float]]]:
    if not isinstance(part, dict):
        return
    if isinstance(part.get("value"), (int, float)):
        yield path, part
        return
    for key, inner in part.items():
        yield from _below((*path, key), inner)


def _apart(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one["high"] < other["low"] or other["high"] < one["low"]


def _different(reports: list[Figures]) -> dict[str, list[str]]:
    """Names of texts, and keys of settings, that are not the same everywhere."""
    texts = [
        {(kind, name): part for kind, by_name in report["texts"].items() for name, part in by_name.items()}
        for report in reports
    ]
    names = dict.fromkeys(key for part in texts for key in part)
    keys = dict.fromkeys(key for report in reports for key in report["settings"])
    return {
        "texts": [key[1] for key in names if any(part.get(key) != texts[0].get(key) for part in texts)],
        "settings": [
            key
            for key in keys
            if any(report["settings"].get(key) != reports[0]["settings"].get(key) for report in reports)
        ],
    }
