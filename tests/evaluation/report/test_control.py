"""Where ours crosses the control, against curves worked by hand."""

import pytest

from ekle.artifacts.evaluation_report import TrainingLogs
from ekle.evaluation.report.control import compare_curves, compare_with_control, value_at

FLAT = [(0.0, 2.0), (10.0, 2.0)]


def test_between_two_evaluations_a_curve_changes_evenly() -> None:
    curve = [(0.0, 4.0), (2.0, 2.0), (6.0, 1.0)]
    assert [value_at(curve, x) for x in (-1, 0, 1, 2, 4, 6, 9)] == [4, 4, 3, 2, 1.5, 1, 1]


@pytest.mark.parametrize(
    ("ours", "found"),
    [
        ([(0.0, 3.0), (10.0, 1.0)], (10.0, -0.5, 5.0)),  # crosses half way
        ([(0.0, 3.0), (10.0, 2.5)], (10.0, 0.25, None)),  # never does
        ([(0.0, 3.0), (5.0, 1.0), (10.0, 2.5)], (10.0, 0.25, None)),  # is below, and is not at the end
        ([(0.0, 1.0), (4.0, 3.0), (8.0, 1.0), (10.0, 1.0)], (10.0, -0.5, 6.0)),  # the last crossing counts
        ([(3.0, 1.5), (10.0, 1.0)], (10.0, -0.5, 3.0)),  # ahead as soon as its rows are learned
        ([(4.0, 3.0), (12.0, 1.0)], (10.0, -0.25, 8.0)),  # as far as the control goes
        ([(0.0, 3.0), (10.0, 2.0)], (10.0, 0.0, None)),  # level is not ahead
    ],
)
def test_a_crossing_is_where_ours_falls_below_for_good(
    ours: list[tuple[float, float]], found: tuple[float, float, float | None]
) -> None:
    assert compare_curves(ours, FLAT) == pytest.approx(found)


def entry(step: int, flops: float | None, text_bytes: int | None, bits: float) -> dict[str, float]:
    known = {"flops": flops, "text_bytes": text_bytes}
    return {
        "step": step,
        "held_out_bits_per_byte": bits,
        **{name: value for name, value in known.items() if value is not None},
    }


def logs(flops: float | None = 20.0, text_bytes: int | None = 300) -> TrainingLogs:
    read = None if text_bytes is None else 0
    begin = None if flops is None else 4.0
    return TrainingLogs(
        extended=[entry(0, begin, read, 3.0), {"step": 1}, entry(2, flops, text_bytes, 1.0)],
        control=[entry(0, 0.0, 0, 2.0), entry(3, 20.0, 200, 1.5)],
    )


def test_compute_and_text_are_compared_each_by_itself() -> None:
    found = compare_with_control(logs())
    assert found is not None
    # Ours falls by 2 in 16 operations from 3, the control by 0.5 in 20 from 2.
    assert found.crossing_flops == pytest.approx((3 + 4 * 0.125 - 2) / (0.125 - 0.025))
    assert found.crossing_share == pytest.approx(found.crossing_flops / 20)
    assert found.difference == pytest.approx(1 / 1.5 - 1)
    # By text: from 3 by 2 in 300 bytes, from 2 by 0.5 in 200, as far as the 200 of the control.
    assert (found.end_bytes, found.crossing_bytes) == (200, None)
    assert found.difference_by_bytes == pytest.approx((3 - 200 / 150) / 1.5 - 1)
    assert "ends 33.3" in found.by_compute.replace("\u00a0", " ")
    assert found.by_bytes is not None and "does not cross" in found.by_bytes


def test_what_was_not_counted_is_not_compared() -> None:
    assert compare_with_control(None) is None
    assert compare_with_control(TrainingLogs(extended=logs().extended)) is None
    assert compare_with_control(logs(flops=None)) is None
    found = compare_with_control(logs(text_bytes=None))
    assert found is not None and found.by_bytes is None and found.crossing_flops is not None
