"""Curves of bits per byte carried on beyond their end, to say where two of them would cross."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy

Point = tuple[float, float]
"""What was taken (operations, bytes), above 0, and bits per byte."""
Kind = Literal["power law", "logarithm"]

_EXPONENTS = numpy.geomspace(0.02, 4.0, 1_000)
_LEAST_POINTS = 4
_PLACES = 2_000  # where two fits are compared


@dataclass(frozen=True)
class Fit:
    """a + b (x / scale)^-c, or a - b ln(x / scale) for the logarithm, where c is 0."""

    kind: Kind
    a: float
    b: float
    c: float
    scale: float
    error: float
    """Root mean square of what is left, in bits per byte."""

    def at(self, x: float) -> float:
        """Bits per byte after `x`."""
        match self.kind:
            case "power law":
                return float(self.a + self.b * (x / self.scale) ** -self.c)
            case "logarithm":
                return self.a - self.b * math.log(x / self.scale)
            case _:
                assert_never(self.kind)


def fit(points: Sequence[Point], kind: Kind) -> Fit | None:
    """The curve of that kind that is nearest to `points`, in least squares.

    Args:
        points: by rising x; those at 0 are left out.
        kind: a power law falls towards a >= 0; a logarithm falls without end.

    Returns:
        None of fewer than four points, or if no falling curve of that kind fits.
    """
    kept = [(x, y) for x, y in points if x > 0]
    if len(kept) < _LEAST_POINTS:
        return None
    scale = kept[-1][0]
    x, y = numpy.array([x / scale for x, _ in kept]), numpy.array([y for _, y in kept])
    columns: list[tuple[float, numpy.ndarray]]
    match kind:
        case "power law":
            columns = [(float(c), x**-c) for c in _EXPONENTS]
        case "logarithm":
            columns = [(0.0, -numpy.log(x))]
        case _:
            assert_never(kind)
    found = [_least_squares(kind, column, y, c, scale) for c, column in columns]
    falling = [one for one in found if one.b > 0 and (one.a >= 0 or kind == "logarithm")]
    return min(falling, key=lambda one: one.error, default=None)


def _least_squares(kind: Kind, column: numpy.ndarray, y: numpy.ndarray, c: float, scale: float) -> Fit:
    matrix = numpy.stack([numpy.ones_like(column), column], axis=1)
    (a, b), *_ = numpy.linalg.lstsq(matrix, y, rcond=None)
    error = math.sqrt(float(((matrix @ [a, b] - y) ** 2).mean()))
    return Fit(kind, float(a), float(b), c, scale, error)


def crossing(
    ours: Callable[[float], float], control: Callable[[float], float], begin: float, end: float
) -> float | None:
    """The x between `begin` and `end` from which on ours is below the control up to `end`; None if it is not.

    Args:
        ours: bits per byte by x.
        control: likewise.
        begin: above 0.
        end: above `begin`.
    """
    places = numpy.geomspace(begin, end, _PLACES)
    above = [place for place in places if ours(float(place)) >= control(float(place))]
    if not above:
        return begin
    if above[-1] == places[-1]:
        return None
    return float(above[-1])
