"""Curves as a picture: an SVG by itself, in few lines."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ekle.files import whole_file

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 190, 20, 50
_COLORS = ("#222222", "#2f6fb0", "#c0562b", "#3f8f4f", "#8a5fb0")  # told apart by lightness as well


def draw(path: Path, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write a picture of bits per byte (y) by share of compute (x, 0 to 1), one line a name."""
    values = [y for points in curves.values() for _, y in points]
    low, high = math.floor(min(values) * 20) / 20, math.ceil(max(values) * 20) / 20
    ticks = 5

    def place(x: float, y: float) -> str:
        across = _LEFT + x * (_WIDTH - _LEFT - _RIGHT)
        down = _TOP + (high - y) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for number in range(ticks + 1):
        value, share = low + (high - low) * number / ticks, number / ticks
        across, down = place(0, value).split(",")
        parts.append(f'<path d="M{across} {down}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{float(down) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
        across = place(share, low).split(",")[0]
        parts.append(f'<text x="{across}" y="{_HEIGHT - 30}" text-anchor="middle">{share:.0%}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">'
        "compute of the control; held-out Turkish, bits per byte</text>"
    )
    for number, (name, points) in enumerate(curves.items()):
        color, down = _COLORS[number % len(_COLORS)], _TOP + 18 * (number + 1)
        line = " ".join(place(x, y) for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(
            f'<path d="M{_WIDTH - _RIGHT + 12} {down - 4}h18" stroke="{color}" stroke-width="2"/>'
            f'<text x="{_WIDTH - _RIGHT + 36}" y="{down}">{name}</text>'
        )
    with whole_file(path) as written:
        written.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
