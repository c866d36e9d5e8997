"""`ekle compare` of evaluations that were made before: figure beside figure, from their report.json.

Two figures are *apart* where the interval of each leaves the other's out. That is stricter than a test on
their difference, which would need the documents: of two that are not apart nothing is claimed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from ekle.errors import InputError
from ekle.evaluation.names import FORMAT
from ekle.files import read_json

Figures = Mapping[str, Any]
Unit = Literal["share", "number", "quotient", "amount"]

_SECTIONS = (
    "models",
    "tokens",
    "drift",
    "morphology",
    "beside",
    "untouched",
    "overlap",
    "likelihood",
    "divergence",
    "generated",
    "translation",
    "tasks",
    "inference",
)
"""Keys of report.json whose figures are compared, with those of `criteria`."""

_NUMBERS = frozenset(
    {
        "bits_per_byte",
        "bleu",
        "bleu_change",
        "bytes_per_token",
        "chrf",
        "chrf_change",
        "kl",
        "loss_per_token",
        "perplexity",
        "tokens_per_word",
    }
)
"""Figures that are numbers of a few digits."""

_RATES = frozenset({"speed", "decoding", "prefill", "generation", "kv_cache"})
"""Below these keys stand characters a second, or bytes, by model; and shares and quotients of them."""


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
        `figures`: a row each with `figure` (its keys in report.json), `unit` (share, number, quotient, or
        amount, which is a count, bytes or a rate), `values` by report (an object with `value` and, where
        known, `low` and `high`, and for criteria `met`; absent where not measured), and `apart`, by report,
        whether it lies apart from the first's, absent where an interval is not known. `different`, each a
        list that is empty where all are the same: names of `texts` and of files of gold, pairs and tasks;
        keys of `settings`; `base`, what the bases are called; `device`, with the precision.
    """
    found = {name: dict(_figures(report)) for name, report in reports.items()}
    first, *others = found
    rows = []
    for path, (unit, figure) in found[first].items():
        values = {name: own[path][1] for name, own in found.items() if path in own}
        if len(values) > 1:
            non_overlapping = {
                name: _do_not_overlap(figure, values[name])
                for name in others
                if name in values and "low" in figure and "low" in values[name]
            }
            rows.append({"figure": list(path), "unit": unit, "values": values, "apart": non_overlapping})
    return {"figures": rows, "different": _different(list(reports.values()))}


def _figures(report: Figures) -> Iterator[tuple[tuple[str, ...], tuple[Unit, dict[str, Any]]]]:
    """Every figure, with the keys that lead to it; a number by itself becomes an object with a value."""
    for section in _SECTIONS:
        yield from _below((section,), report.get(section, {}))
    for row in report.get("criteria", []):
        if "value" in row:
            yield ("criteria", row["key"]), (row["unit"], {**row["value"], "met": row["met"]})


def _below(path: tuple[str, ...], part: Any) -> Iterator[tuple[tuple[str, ...], tuple[Unit, dict[str, Any]]]]:
    if _is_number(part):
        yield path, (_unit(path, part), {"value": part})
    elif isinstance(part, dict) and _is_number(part.get("value")):
        yield path, (_unit(path), part)
    elif isinstance(part, dict):
        for key, inner in part.items():
            yield from _below((*path, key), inner)


def _is_number(part: Any) -> bool:
    return isinstance(part, (int, float)) and not isinstance(part, bool)


def _unit(path: tuple[str, ...], bare: float | None = None) -> Unit:
    """The unit of a figure, which where it has no interval is `bare`."""
    *_, parent, key = path
    if key == "ratio":
        return "quotient"
    if key in _NUMBERS:
        return "number"
    rate = parent in _RATES or key == "break_even_characters"
    return "amount" if isinstance(bare, int) or (bare is not None and rate) else "share"


def _do_not_overlap(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one["high"] < other["low"] or other["high"] < one["low"]


def _different(reports: list[Figures]) -> dict[str, list[str]]:
    """What is not the same everywhere, as far as reports say; earlier ones lack `provenance`."""
    texts = [
        {(kind, name): part for kind, by_name in report["texts"].items() for name, part in by_name.items()}
        for report in reports
    ]
    names = dict.fromkeys(key for part in texts for key in part)
    keys = dict.fromkeys(key for report in reports for key in report["settings"])
    origins = [report["provenance"] for report in reports if "provenance" in report]
    files = [origin["files"] for origin in origins]
    named = dict.fromkeys(name for part in files for name in part)
    bases = [origin["measured"]["base"] for origin in origins]
    devices = dict.fromkeys(f"{origin['device']} in {origin['dtype']}" for origin in origins)
    return {
        "texts": [
            *(key[1] for key in names if not all(_alike(part.get(key), texts[0].get(key)) for part in texts)),
            *(name for name in named if len({part.get(name) for part in files}) > 1),
        ],
        "settings": [
            key
            for key in keys
            if any(report["settings"].get(key) != reports[0]["settings"].get(key) for report in reports)
        ],
        "base": list(dict.fromkeys(base["place"] for base in bases))
        if any(base != bases[0] for base in bases)
        else [],
        "device": list(devices) if len(devices) > 1 else [],
    }


def _alike(one: Any, other: Any) -> bool:
    """Whether two descriptions of a text agree; a digest that one of them lacks is passed over."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(one[key] == other[key] for key in one.keys() & other.keys())
    return bool(one == other)
