"""Filling a template: figures in, one self-contained HTML file out."""

import base64
import gzip
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ekle.files import atomic_file
from ekle.page import formatting
from ekle.page.plots import Plot

_HERE = Path(__file__).parent


def render(template: Path, drawn: Mapping[str, Plot], **content: Any) -> str:
    """The page as HTML; its scripts and styles are inside, so it needs no network.

    Args:
        template: extends frame.html of this package and may use the macros of parts.html.
        drawn: plots by the name of their place.
        content: what else the template shows.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": formatting.percent,
        "signed": formatting.signed,
        "interval": formatting.interval,
        "ratio": formatting.ratio,
        "ratio_interval": formatting.ratio_interval,
        "amount": formatting.amount,
        "size": formatting.size,
        "listed": formatting.listed,
        "counted": formatting.counted,
        "number": formatting.number,
    }
    environment.globals |= {
        "drawn": drawn,
        "plots": _inline_json(drawn),
        "style": _inline("style.css"),
        "script": _inline("script.js"),
        "plotly": _plotly() if drawn else "",
        "ekle": version("ekle"),
    }
    return environment.get_template(template.name).render(**content)


def write_html(path: Path, page: str) -> None:
    """Write a page to `path`, whole or not at all.

    Raises:
        SpaceError: the disk is full.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")  # a file's name may be no UTF-8


@cache
def _plotly() -> Markup:
    """The library as script.js unpacks it: 2.0 MB where the source takes 4.8 MB."""
    return Markup(base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode())


def _inline(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def _inline_json(value: Any) -> Markup:
    """JSON that no "</script>" inside a name can end."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))
