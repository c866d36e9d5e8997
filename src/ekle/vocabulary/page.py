"""The page about a vocabulary: what it saves, what it changes, what its tokens are."""

from pathlib import Path
from typing import Any

from ekle.page.plots import trade_plots
from ekle.page.write import render as fill
from ekle.page.write import write_html

_TEMPLATE = Path(__file__).parent / "page.html"
_REASONS = {
    "invariable": "a suffix that has one form only (-yor, -ki, -ken, -leyin)",
    "verb": "a verb that has become a suffix (-bil, -ver)",
    "loan": "a loan whose last vowel sounds like a front one (saat-ler)",
    "suffix": "a suffix that does not suit the vowel before it",
    "letters": "letters without an analysis, their vowels of both kinds",
}


def write_page(report: dict[str, Any], path: Path) -> None:
    """Write the page over `report` (the content of report.json) to `path`, whole or not at all.

    Raises:
        SpaceError: the disk is full.
    """
    write_html(path, render(report))


def render(report: dict[str, Any]) -> str:
    """The page as HTML, self-contained."""
    genres = report["held_out"].values()
    before, after = (sum(genre[key] for genre in genres) for key in ("tokens_base", "tokens"))
    growth = report["growth"][-1]
    return fill(
        _TEMPLATE,
        trade_plots(report["trades"]),
        report=report,
        saved=1 - after / before if before else growth["saved"],
        held_out=bool(before),
        texts={**report["other"], **report["protected"]["texts"]},
        reasons=_REASONS,
        categories=sorted(report["categories"].items(), key=lambda item: -item[1]["tokens_saved"]),
    )
