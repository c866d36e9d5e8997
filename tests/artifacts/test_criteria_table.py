"""The criteria table: the same cells for the terminal, the page and the model card."""

from partial_report import report_of

from ekle.artifacts.evaluation_report.criteria_table import criteria_table

ROWS = [
    {"name": "Tokens saved", "target": "50 to 70 %", "value": {"value": 0.376, "low": 0.37, "high": 0.38}}
    | {"met": False, "certain": True, "note": "not reachable"},
    {"name": "Training time", "unit": "number", "value": {"value": 0.0073}, "met": True},
    {"name": "Faster inference", "value": {"value": 0.21, "low": 0.1, "high": 0.3}}
    | {"met": True, "certain": False},
    {"name": "Final loss", "why": "no training log", "note": "does not compare across vocabularies"},
]


def test_a_row_says_what_was_measured_and_whether_it_is_enough() -> None:
    saved, time, speed, loss = criteria_table(report_of({"criteria": ROWS}))
    assert (saved.name, saved.asked, saved.remark) == ("Tokens saved", "50 to 70 %", "not reachable")
    assert (saved.measured, saved.interval) == ("37.6\u00a0%", "37.0 to 38.0\u00a0%")
    assert (time.measured, time.exact, time.interval) == ("0.01", "0.0073", "")
    answers = [row.answer("yes", "no", ", unsure") for row in (saved, time, speed, loss)]
    assert answers == ["no", "yes", "yes, unsure", ""]


def test_what_was_not_measured_says_why_before_anything_else() -> None:
    *_, loss = criteria_table(report_of({"criteria": ROWS}))
    assert (loss.met, loss.measured, loss.exact, loss.remark) == (None, "", "", "no training log")
