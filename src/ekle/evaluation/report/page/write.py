"""The evaluation's page from its figures."""

from pathlib import Path
from typing import Any

from ekle.evaluation.names import other_names
from ekle.evaluation.report.page import tables
from ekle.evaluation.report.page.plots import plots
from ekle.evaluation.report.verdict import is_toy
from ekle.page.render import render as fill
from ekle.page.render import write_html
from ekle.page.training_log import training_summary

_TEMPLATE = Path(__file__).parent / "template.html"


def write_page(figures: dict[str, Any], path: Path) -> None:
    """Write the page over `figures` (the content of report.json) to `path`, whole or not at all.

    Raises:
        SpaceError: the disk is full.
    """
    write_html(path, render(figures))


def render(figures: dict[str, Any]) -> str:
    """The page as HTML; its scripts and styles are inside, so it needs no network."""
    return fill(
        _TEMPLATE,
        plots(figures),
        figures=figures,
        toy=is_toy(figures),
        sections=tables.sections(figures),
        peers=tables.peers(figures),
        roots_by=tables.cuts_by(figures, "root_uncut")[0],
        other_names=other_names(figures),
        cuts_by=tables.cuts_by(figures, "no_wrong_cut")[0],
        roots_whole=tables.roots_whole(figures),
        kinds_by=tables.cuts_by(figures, "tokens")[0],
        most_overlapping=tables.most_overlapping(figures),
        asked_of_models=tables.asked_of_models(figures),
        task_groups=tables.task_groups(figures),
        instruments=training_summary(figures.get("training", {}).get("extended", [])),
        colours=tables.colours(figures),
        why=tables.why,
    )
