"""Plots as Plotly figures without colours, and those that more than one page shows.

A trace names its colour in `meta`: `base`, `extended`, `trained`, `ink`, or `line-1` to `line-6` for lines
that are equals. script.js looks it up in the style sheet, so that plots follow the reader's light or dark
theme.
"""

from collections.abc import Sequence
from typing import Any

from ekle.page.formatting import SPACE

Plot = dict[str, Any]

_LINES = 6  # colours of equals; more lines than that are told apart by dashes
_DASHES = ("solid", "dot", "dash")
_TICKS = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0)


def figure(
    traces: list[dict[str, Any]], height: int, x: dict[str, Any], y: dict[str, Any], **layout: Any
) -> Plot:
    """A figure whose axes stay put under a thumb that scrolls."""
    fixed = {"fixedrange": True, "automargin": True}
    return {
        "data": traces,
        "layout": {"height": height, "xaxis": {**fixed, **x}, "yaxis": {**fixed, **y}, **layout},
    }


def trade_plots(points: Sequence[dict[str, Any]]) -> dict[str, Plot]:
    """What fewer tokens would save and change, as curves, each where there are figures for it.

    Args:
        points: `size_trade_offs` of the vocabulary's report.json: one point per size.
    """
    if len(points) < 2:
        return {}
    drawn = {"trade-size": _against_size(points)}
    if any(share for point in points for share in point.get("lines_changed", {}).values()):
        drawn["trade-drift"] = _against_drift(points)
    if "root_intact" in points[0]:
        drawn["trade-root"] = _against_roots(points)
    return drawn


def _against_size(points: Sequence[dict[str, Any]]) -> Plot:
    names = {"held_out": ("held-out text", "extended"), "learning_text": ("the text learned from", "base")}
    lines = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "meta": colour,
            "x": [point["size"] for point in points],
            "y": [point[key] for point in points],
            "hovertemplate": "%{x:,} new tokens save %{y:.1%}<extra>" + name + "</extra>",
        }
        for key, (name, colour) in names.items()
        if key in points[0]
    ]
    size = {"title": {"text": "new tokens"}, "tickformat": ",", "rangemode": "tozero"}
    return figure(lines, 340, x=size, y=_saved_axis(), showlegend=True)


def _against_drift(points: Sequence[dict[str, Any]]) -> Plot:
    lines: list[dict[str, Any]] = []
    last = points[-1]["lines_changed"]
    for name in sorted(last, key=lambda name: -last[name]):
        # The axis is logarithmic, so sizes at which nothing changes have no place on it.
        shown = [point for point in points if point["lines_changed"][name]]
        if not shown:
            continue
        lines.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "meta": f"line-{len(lines) % _LINES + 1}",
                "line": {"dash": _DASHES[len(lines) // _LINES % len(_DASHES)]},
                "x": [point["lines_changed"][name] for point in shown],
                "y": [_saved(point) for point in shown],
                "customdata": [point["size"] for point in shown],
                "hovertemplate": "%{customdata:,} new tokens: %{x:.2%} of lines change, %{y:.1%} saved"
                f"<extra>{name}</extra>",
            }
        )
    drift = {
        "title": {"text": "lines tokenized differently"},
        "type": "log",
        "tickvals": list(_TICKS),
        "ticktext": [f"{100 * tick:g}{SPACE}%" for tick in _TICKS],
    }
    return figure(lines, 380, x=drift, y=_saved_axis(), showlegend=True)


def _against_roots(points: Sequence[dict[str, Any]]) -> Plot:
    line = {
        "type": "scatter",
        "mode": "lines+markers+text",
        "name": "root intact",
        "meta": "extended",
        "x": [point["root_intact"] for point in points],
        "y": [_saved(point) for point in points],
        # Every other point has its size next to it, the last one included: a phone has no room for all.
        "text": [
            "" if place % 2 else f"{point['size']:,}"
            for place, point in zip(range(len(points) - 1, -1, -1), points, strict=True)
        ],
        "customdata": [point["size"] for point in points],
        "textposition": "bottom right",
        "cliponaxis": False,
        "hovertemplate": "%{customdata:,} new tokens: %{x:.1%} roots intact, %{y:.1%} saved<extra></extra>",
    }
    roots = {"title": {"text": "inflected words with their root intact"}, "tickformat": ".0%"}
    return figure([line], 340, x=roots, y=_saved_axis(), showlegend=False)


def _saved(point: dict[str, Any]) -> float:
    return float(point.get("held_out", point["learning_text"]))


def _saved_axis() -> dict[str, Any]:
    return {"title": {"text": "tokens saved"}, "tickformat": ".0%", "rangemode": "tozero"}
