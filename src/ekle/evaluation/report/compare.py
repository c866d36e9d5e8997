"""`ekle compare` of earlier evaluations: their figures side by side, from report.json.

Two figures are marked where their intervals do not overlap. That is stricter than a test on their difference,
which would need the documents. Nothing is claimed about figures with overlapping intervals.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ekle.artifacts.evaluation_report import EvaluationReport, Figure, Part, TextSize, Unit, unit_of

_SECTIONS = (
    "models",
    "tokens",
    "drift",
    "morphology",
    "peers",
    "preservation",
    "contamination",
    "likelihood",
    "divergence",
    "generated",
    "translation",
    "tasks",
    "inference",
)
"""Keys of report.json whose figures are compared, with those of `criteria`."""

_Path = tuple[str, ...]


class ComparedValue(Part):
    """A figure of one report."""

    value: int | float
    """In the unit of the row."""
    low: float | None = None
    """The lower limit; absent where there is no interval."""
    high: float | None = None
    """The upper limit, likewise."""
    met: bool | None = None
    """Of a criterion: whether the value is enough."""


class ComparedFigure(Part):
    """A figure that the first report and another one have."""

    figure: list[str]
    """The keys that lead to it in report.json."""
    unit: Unit
    """How it is shown."""
    values: dict[str, ComparedValue]
    """By report; one that did not measure it is absent."""
    non_overlapping: dict[str, bool]
    """By report: whether its interval and the first's do not overlap; absent where one is not known."""


class Differences(Part):
    """What was not the same in all reports; each is empty where all are the same."""

    texts: list[str]
    """Texts, and files of gold, pairs and tasks, by their names."""
    settings: list[str]
    """Keys of the settings."""
    base: list[str]
    """What the bases are called."""
    device: list[str]
    """Devices, with the precision."""


class ReportComparison(Part):
    """Earlier evaluations, figure by figure."""

    figures: list[ComparedFigure]
    """A row per figure."""
    different: Differences
    """What makes the reports hard to compare."""


def read_report(place: Path) -> EvaluationReport:
    """The report that `place` is, or that the folder `place` holds.

    Raises:
        InputError: as `EvaluationReport.read`.
    """
    return EvaluationReport.read(place / "report.json" if place.is_dir() else place)


def compare_reports(reports: Mapping[str, EvaluationReport]) -> ReportComparison:
    """The figures that the first of `reports` and another one have, and what makes them hard to compare."""
    found = {name: dict(_figures(report)) for name, report in reports.items()}
    first, *others = found
    rows = []
    for path, (unit, figure) in found[first].items():
        values = {name: own[path][1] for name, own in found.items() if path in own}
        if len(values) > 1:
            marks = {
                name: _do_not_overlap(figure, values[name])
                for name in others
                if name in values and figure.low is not None and values[name].low is not None
            }
            rows.append(ComparedFigure(figure=list(path), unit=unit, values=values, non_overlapping=marks))
    return ReportComparison(figures=rows, different=_different(list(reports.values())))


def _figures(report: EvaluationReport) -> Iterator[tuple[_Path, tuple[Unit, ComparedValue]]]:
    """Every figure, with the keys that lead to it."""
    for section in _SECTIONS:
        yield from _below((section,), getattr(report, section), "share")
    for row in report.criteria:
        if row.value is not None:
            yield ("criteria", row.key), (row.unit, ComparedValue(**row.value.dump(), met=row.met))


def _below(path: _Path, part: object, unit: Unit) -> Iterator[tuple[_Path, tuple[Unit, ComparedValue]]]:
    """The figures of a part; `unit` is that of the key that leads to it."""
    match part:
        case Figure():
            yield path, (unit, ComparedValue(**part.dump()))
        case Part():
            for key, field in type(part).model_fields.items():
                inner = getattr(part, key)
                yield from _below((*path, key), inner, unit_of(field, inner))
        case dict():
            for key, inner in part.items():
                yield from _below((*path, key), inner, unit)
        case bool():
            return  # yes or no is no figure
        case int() | float():
            yield path, (unit, ComparedValue(value=part))


def _do_not_overlap(one: ComparedValue, other: ComparedValue) -> bool:
    assert one.low is not None and one.high is not None and other.low is not None and other.high is not None
    return one.high < other.low or other.high < one.low


def _different(reports: list[EvaluationReport]) -> Differences:
    """What is not the same everywhere, as far as the reports say; some lack `provenance`."""
    texts = [
        {
            (kind, name): size
            for kind, by_name in (("held_out", report.texts.held_out), ("other", report.texts.other))
            for name, size in by_name.items()
        }
        for report in reports
    ]
    names = dict.fromkeys(key for part in texts for key in part)
    keys = dict.fromkeys(key for report in reports for key in report.settings)
    origins = [report.provenance for report in reports if report.provenance]
    files = [origin.files for origin in origins]
    named = dict.fromkeys(name for part in files for name in part)
    bases = [origin.measured["base"] for origin in origins]
    devices = dict.fromkeys(f"{origin.device} in {origin.dtype}" for origin in origins)
    return Differences(
        texts=[
            *(key[1] for key in names if not all(_alike(part.get(key), texts[0].get(key)) for part in texts)),
            *(name for name in named if len({part.get(name) for part in files}) > 1),
        ],
        settings=[
            key
            for key in keys
            if any(report.settings.get(key) != reports[0].settings.get(key) for report in reports)
        ],
        base=list(dict.fromkeys(base.place for base in bases))
        if any(base != bases[0] for base in bases)
        else [],
        device=list(devices) if len(devices) > 1 else [],
    )


def _alike(one: TextSize | None, other: TextSize | None) -> bool:
    """Whether two descriptions of a text agree; a digest that one of them lacks is ignored."""
    if one is None or other is None:
        return one is other
    known = one.sha256 is not None and other.sha256 is not None
    alike = (one.documents, one.bytes) == (other.documents, other.bytes)
    return alike and (not known or one.sha256 == other.sha256)
