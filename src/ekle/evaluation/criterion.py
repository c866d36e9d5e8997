"""One criterion of the guide, and the row of report.json that it comes to."""

from typing import Any, NamedTuple

_IN_UNITS = frozenset({"final_loss", "final_loss_stretch", "gradients", "training_time"})
"""Keys of the rows whose value is a number in the unit of the definition; all others are shares."""


class Criterion(NamedTuple):
    """One line of the table."""

    key: str
    group: str
    """technical, quality or performance."""
    name: str
    target: str
    """As the guide states it."""
    definition: str
    """What is measured for it here."""
    value: Any = None
    """A number, or an object with `value` and, where known, `low` and `high`."""
    above: float | None = None
    """The value must be greater than this."""
    below: float | None = None
    """The value must be smaller than this."""
    also: bool = True
    """What else must hold."""
    note: str = ""
    why: str = ""


def row_of(one: Criterion) -> dict[str, Any]:
    """The row; see `criteria.criteria` for its keys."""
    row: dict[str, Any] = {key: getattr(one, key) for key in ("key", "group", "name", "target", "definition")}
    row["unit"] = "number" if one.key in _IN_UNITS else "share"
    if one.value is None:
        row["why"] = one.why
    else:
        value = one.value if isinstance(one.value, dict) else {"value": float(one.value)}
        sides = {
            key: one.also and _passes(value[key], one) for key in ("value", "low", "high") if key in value
        }
        row |= {"value": value, "met": sides["value"]}
        if "low" in sides:
            row["certain"] = sides["low"] == sides["high"]
    return row | ({"note": one.note} if one.note else {})


def _passes(value: float, one: Criterion) -> bool:
    return (one.above is None or value > one.above) and (one.below is None or value < one.below)
