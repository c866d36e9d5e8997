"""Filling the template: figures in, one self-contained HTML file out."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ekle.evaluation import wording
from ekle.evaluation.page.plots import plots
from ekle.evaluation.verdict import is_toy
from ekle.files import whole_file

_HERE = Path(__file__).parent


def write_page(figures: dict[str, Any], path: Path) -> None:
    """Write the page over `figures` (the content of report.json) to `path`, whole or not at all.

    Raises:
        SpaceError: the disk is full.
    """
    with whole_file(path) as temporary:
        temporary.write_text(render(figures), encoding="utf-8")


def render(figures: dict[str, Any]) -> str:
    """The page as HTML; its scripts and styles are inside, so it needs no network."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": wording.percent,
        "signed": wording.signed,
        "span": wording.span,
        "amount": wording.amount,
        "size": wording.size,
        "listed": wording.listed,
    }
    drawn = plots(figures)
    return environment.get_template("template.html").render(
        figures=figures,
        toy=is_toy(figures),
        drawn=drawn,
        plots=_inline_json(drawn),
        style=_inline("style.css"),
        script=_inline("script.js"),
        plotly=Markup(get_plotlyjs()),
    )


def _inline(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def _inline_json(value: Any) -> Markup:
    """JSON that no "</script>" inside a name can end."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))
