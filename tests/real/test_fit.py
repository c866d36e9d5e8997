"""Fits of curves, and where two of them cross."""

import math

import pytest

from benchmarks.real.fit import Kind, crossing, fit
from benchmarks.real.page import page_of
from benchmarks.real.winner import compared_by
from ekle.artifacts.evaluation_report import CurvePoint

XS = [1e15 * number for number in (1, 2, 3, 5, 8, 13)]


def test_a_power_law_is_found() -> None:
    found = fit([(x, 1.2 + 0.4 * (x / 1e15) ** -0.5) for x in XS], "power law")
    assert found is not None and found.error < 2e-4
    assert found.at(1e17) == pytest.approx(1.24, abs=0.01)
    assert found.c == pytest.approx(0.5, rel=0.1)


def test_a_logarithm_is_found() -> None:
    found = fit([(x, 2.0 - 0.1 * math.log(x / 1e15)) for x in XS], "logarithm")
    assert found is not None and found.error < 1e-9
    assert found.at(1e17) == pytest.approx(2.0 - 0.1 * math.log(100))


@pytest.mark.parametrize("kind", ["power law", "logarithm"])
def test_what_rises_or_is_short_has_no_fit(kind: Kind) -> None:
    assert fit([(x, 1 + x / 1e16) for x in XS], kind) is None
    assert fit([(0.0, 3.0), *((x, 2 - x / 1e16) for x in XS[:3])], kind) is None


def test_two_curves_cross_where_ours_stays_below() -> None:
    control = fit([(x, 1.5 + 0.2 * (x / 1e15) ** -0.5) for x in XS], "power law")
    ours = fit([(x, 1.2 + 1.1 * (x / 1e15) ** -0.5) for x in XS], "power law")
    assert control is not None and ours is not None
    assert crossing(ours.at, control.at, 1e15, 1e18) == pytest.approx(9e15, rel=0.05)
    assert crossing(control.at, ours.at, 1e15, 1e18) is None
    assert crossing(ours.at, control.at, 2e16, 1e18) == 2e16
    assert crossing(ours.at, control.at, 1e15, 5e15) is None


def curve(a: float, b: float) -> list[CurvePoint]:
    """Evaluations whose bits follow a power law, by operations and by bytes."""
    return [
        CurvePoint(step=n, flops=x, text_bytes=round(x / 1e9), bits_per_byte=a + b * (x / 1e15) ** -0.5)
        for n, x in enumerate(XS)
    ]


def record(compared: dict[str, object]) -> dict[str, object]:
    """What docs/real.json holds of one run, as little as the page needs."""
    bits = {"genres": {}, "turkish": 1.0, "english": 1.0}
    about = {"tokens": 1, "steps": 1}
    models = dict.fromkeys(("base", "start", "ours", "control"), bits)
    curves: dict[str, list[object]] = {"ours": [], "control": []}
    both = {"ours": about, "control": about}
    winner = {**models, "about": both, "curves": curves, "compared": {"operations": compared}}
    text = {"test": {}, "passage_bytes": 1, "test_bytes": 1, "english": "", "replay": ""}
    return {"size": "cpu", "text": text, "parts": {"winner/seed 0": winner}}


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (curve(1.2, 1.1), "it is below the control after 9.33e+15"),
        (curve(1.2, 1.6), "and 0.0000 bits) it crosses at 1.7 times that, by the logarithm"),
        (curve(1.6, 1.6), "it does not cross within 1,000 times that"),
        (curve(0.2, 0.1), "it is below the control after 1e+15"),
    ],
    ids=["inside", "beyond", "never", "always"],
)
def test_the_page_says_where_ours_crosses_the_control(ours: list[CurvePoint], said: str) -> None:
    found = compared_by({"ours": ours, "control": curve(1.5, 0.2)}, "flops")
    assert found["end"] == 13e15
    assert said in " ".join(page_of(record(found)).split())
