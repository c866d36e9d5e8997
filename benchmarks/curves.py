"""Curves as SVG files that need no library, readable on a light and on a dark background."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from ekle.files import atomic_file

_WIDTH, _HEIGHT = 460, 300  # of a panel, in pixels
_LEFT, _RIGHT, _TOP = 58, 14, 34
_PLOT = 190
_COLOURS = ("#3b7dd8", "#d1622b", "#2e9e6b", "#9558c4")
_DASHES = ("", "7 4", "2 3", "9 3 2 3")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.title{font-weight:600}.axis{stroke:#8a8a8a;fill:none}"
    ".grid{stroke:#8a8a8a;stroke-opacity:.25}.line{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#c8c8c8}}"
)


@dataclass(frozen=True)
class Curve:
    """A named line through points (x, y), in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Up to four curves over common axes."""

    title: str
    curves: Sequence[Curve]
    x: str
    y: str = "bits per byte"


def write_curves(path: Path, panels: Sequence[Panel]) -> None:
    """Write the panels side by side; the points of a line are joined by straight strokes."""
    width = _WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" '
        f'height="{_HEIGHT}" role="img">',
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
        f"<style>{_STYLE}</style>",
    ]
    for place, panel in enumerate(panels):
        parts += [f'<g transform="translate({place * _WIDTH} 0)">', *_panel(panel), "</g>"]
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about `count` of them."""
    if not low < high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / max(count - 1, 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _panel(panel: Panel) -> list[str]:
    points = [point for curve in panel.curves for point in curve.points]
    xs = ticks(0.0, max(x for x, _ in points))
    ys = ticks(min(y for _, y in points), max(y for _, y in points))
    right, bottom = _WIDTH - _RIGHT, _TOP + _PLOT

    def across(x: float) -> float:
        return _LEFT + (x - xs[0]) / (xs[-1] - xs[0]) * (right - _LEFT)

    def down(y: float) -> float:
        return bottom - (y - ys[0]) / (ys[-1] - ys[0]) * _PLOT

    parts = [f'<text class="title" x="{_LEFT}" y="16">{escape(panel.title)}</text>']
    parts += [f'<text x="{_LEFT}" y="{_TOP - 4}">{escape(panel.y)}</text>']
    for y in ys:
        parts.append(f'<path class="grid" d="M{_LEFT} {down(y):.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{down(y) + 4:.1f}" text-anchor="end">{_label(y, ys)}</text>')
    for x in xs:
        parts.append(
            f'<text x="{across(x):.1f}" y="{bottom + 16}" text-anchor="middle">{_label(x, xs)}</text>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
    parts.append(f'<text x="{right}" y="{bottom + 32}" text-anchor="end">{escape(panel.x)}</text>')
    for number, curve in enumerate(panel.curves):
        stroke = f'stroke="{_COLOURS[number]}" stroke-dasharray="{_DASHES[number]}"'
        drawn = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in curve.points)
        parts.append(f'<polyline class="line" {stroke} points="{drawn}"/>')
        at, row = _LEFT + number % 2 * (_WIDTH - _LEFT) // 2, bottom + 50 + number // 2 * 16
        parts.append(f'<path class="line" {stroke} d="M{at} {row - 4}h22"/>')
        parts.append(f'<text x="{at + 27}" y="{row}">{escape(curve.name)}</text>')
    return parts


def _label(value: float, among: Sequence[float]) -> str:
    """`value` with as many decimals as the step between ticks."""
    step = among[1] - among[0]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{places}f}"
