"""The evaluation's page from its figures."""

from pathlib import Path

from ekle.artifacts.evaluation_report import EvaluationReport, TrainingLogs, text_title
from ekle.artifacts.evaluation_report.criteria_table import criteria_table
from ekle.evaluation.report.page import tables
from ekle.evaluation.report.page.plots import plots
from ekle.evaluation.report.verdict import is_toy
from ekle.page.render import render as fill
from ekle.page.render import write_html
from ekle.page.training_log import training_summary

_TEMPLATE = Path(__file__).parent / "template.html"


def write_page(report: EvaluationReport, path: Path) -> None:
    """Write the page over `report` to `path`, whole or not at all.

    Raises:
        SpaceError: the disk is full.
    """
    write_html(path, render(report))


def render(report: EvaluationReport) -> str:
    """The page as HTML; its scripts and styles are inside, so it needs no network."""
    training = report.training or TrainingLogs()
    return fill(
        _TEMPLATE,
        plots(report),
        report=report,
        toy=is_toy(report),
        sections=tables.sections(report),
        criteria=criteria_table(report),
        peers=tables.peers(report),
        other_names=report.texts.other_names,
        root_source=tables.source_with(report, "root_intact")[0],
        boundary_source=tables.source_with(report, "no_wrong_boundary")[0],
        kind_source=tables.source_with(report, "tokens")[0],
        roots_intact=tables.roots_intact(report),
        most_overlapping=tables.most_overlapping(report),
        asked_of_models=tables.asked_of_models(report),
        task_groups=tables.task_groups(report),
        instruments=training_summary(training.extended or []),
        text_title=text_title,
        colours=tables.colours(report),
        why=tables.why,
    )
