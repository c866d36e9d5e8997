"""Ours against the control by what both took: where the curves of their logs cross."""

from bisect import bisect_right
from collections.abc import Sequence

from ekle.artifacts.evaluation_report import ControlComparison, CurvePoint, LogEntry, TrainingLogs

Point = tuple[float, float]


def compare_with_control(logs: TrainingLogs | None) -> ControlComparison | None:
    """The comparison that the logs of both trainings give; None where one is missing or counts no operations.

    Between two evaluations, bits per byte are taken to change evenly.
    """
    if logs is None:
        return None
    ours, control = curve_points(logs.extended), curve_points(logs.control)
    if len(ours) < 2 or len(control) < 2:
        return None
    end, difference, crossing = compare_curves(
        [(point.flops, point.bits_per_byte) for point in ours],
        [(point.flops, point.bits_per_byte) for point in control],
    )
    found = ControlComparison(
        ours=ours,
        control=control,
        end_flops=end,
        difference=difference,
        crossing_flops=crossing,
        crossing_share=None if crossing is None else crossing / end,
    )
    if any(point.text_bytes is None for point in (*ours, *control)):
        return found
    end, difference, crossing = compare_curves(
        [(point.text_bytes or 0, point.bits_per_byte) for point in ours],
        [(point.text_bytes or 0, point.bits_per_byte) for point in control],
    )
    return found.model_copy(
        update={
            "end_bytes": round(end),
            "difference_by_bytes": difference,
            "crossing_bytes": None if crossing is None else round(crossing),
        }
    )


def curve_points(log: Sequence[LogEntry] | None) -> list[CurvePoint]:
    """The evaluations of a log that say what the training had taken by then."""
    return [
        CurvePoint.model_validate(
            {
                "step": entry["step"],
                "flops": entry["flops"],
                "text_bytes": entry.get("text_bytes"),
                "bits_per_byte": entry["held_out_bits_per_byte"],
            }
        )
        for entry in log or ()
        if "held_out_bits_per_byte" in entry and "flops" in entry
    ]


def compare_curves(ours: Sequence[Point], control: Sequence[Point]) -> tuple[float, float, float | None]:
    """Where both curves end, how far ours is from the control there, and where it falls below it for good.

    Args:
        ours: what was taken and bits per byte, by rising amounts.
        control: likewise.

    Returns:
        The last amount that both reach; bits of ours over those of the control there, less 1; the amount from
        which on ours needs fewer bits, None if it does not at the end.
    """
    end = min(ours[-1][0], control[-1][0])
    begin = max(ours[0][0], control[0][0])
    inner = {x for x, _ in (*ours, *control) if begin < x < end}
    places = sorted({min(begin, end), *inner, end})
    gaps = [value_at(ours, x) - value_at(control, x) for x in places]
    difference = value_at(ours, end) / value_at(control, end) - 1
    if gaps[-1] >= 0:
        return end, difference, None
    last = max((place for place, gap in enumerate(gaps) if gap >= 0), default=None)
    if last is None:
        return end, difference, places[0]
    share = gaps[last] / (gaps[last] - gaps[last + 1])
    return end, difference, places[last] + share * (places[last + 1] - places[last])


def value_at(curve: Sequence[Point], x: float) -> float:
    """The value at `x` by linear interpolation; beyond an end, that of the end."""
    place = bisect_right(curve, x, key=lambda point: point[0])
    if place == 0:
        return curve[0][1]
    if place == len(curve):
        return curve[-1][1]
    (before, low), (after, high) = curve[place - 1], curve[place]
    return low + (high - low) * (x - before) / (after - before)
