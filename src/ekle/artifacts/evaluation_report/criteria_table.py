"""The table of the guide's criteria: its cells in words, for the terminal, the page and the model card."""

from typing import NamedTuple

from ekle.artifacts.evaluation_report.report import Criterion, EvaluationReport
from ekle.page.formatting import interval, number, percent


class CriterionCells(NamedTuple):
    """A row of the table."""

    group: str
    """What the criterion is about."""
    name: str
    definition: str
    """What is measured for it."""
    asked: str
    """What the guide asks for."""
    measured: str
    """The value, as per cent or as a number of two decimals; empty where nothing was measured."""
    exact: str
    """The same, with more digits where the number is small."""
    interval: str
    """The interval of a share; empty where there is none."""
    met: bool | None
    """Whether that is enough; None where nothing was measured."""
    certain: bool
    """False where the interval has values on both sides of the limit."""
    remark: str
    """Why nothing was measured, or what else a reader should know."""

    def answer(self, yes: str, no: str, doubt: str) -> str:
        """Whether it is met, in the words of the reader; `doubt` follows where the answer is not certain."""
        if self.met is None:
            return ""
        return (yes if self.met else no) + ("" if self.certain else doubt)


def criteria_table(report: EvaluationReport) -> list[CriterionCells]:
    """The rows in the order of the report."""
    return [_cells(row) for row in report.criteria]


def _cells(row: Criterion) -> CriterionCells:
    measured, exact, limits = "", "", ""
    if row.value is not None and row.unit == "share":
        measured = exact = percent(row.value.value)
        limits = interval(row.value)
    elif row.value is not None:
        measured, exact = f"{row.value.value:.2f}", number(row.value.value)
    return CriterionCells(
        group=row.group,
        name=row.name,
        definition=row.definition,
        asked=row.target,
        measured=measured,
        exact=exact,
        interval=limits,
        met=row.met,
        certain=row.certain is not False,
        remark=row.why or row.note or "",
    )
