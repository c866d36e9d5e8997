"""A figure with its interval, what every part of a report has in common, and names that reports use."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

OURS = ("base", "extended", "trained")
"""The models that ekle makes; others that are measured have names of their own."""

CONTROL = "control"
"""The base after training with its own tokenizer: what ours is to be better than."""

ALL_HELD_OUT = "all_held_out"
"""All held-out texts in the language to learn, as one text."""

HUMAN_TEXT = "held_out"
"""The key of text that people wrote, in a list of models whose text is judged."""

Unit = Literal["share", "number", "quotient", "amount"]
"""How people read a figure: as per cent, as a number of a few digits, as "1.02 times", or as a count, a
number of bytes or a rate."""

NUMBER = Field(json_schema_extra={"unit": "number"})
QUOTIENT = Field(json_schema_extra={"unit": "quotient"})
AMOUNT = Field(json_schema_extra={"unit": "amount"})
"""Marks for keys whose unit `unit_of` cannot know by the type."""


class Part(BaseModel):
    """A part of a report: it knows all of its keys and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def dump(self) -> dict[str, Any]:
        """The part as JSON content; what was not measured is absent."""
        return self.model_dump(exclude_none=True)


class Figure(Part):
    """A figure that is compared, with its 95 % interval where that is known."""

    value: float
    """In the unit that the key of the figure says; a share where it says none."""
    low: float | None = None
    """The lower limit, in the same unit; absent where there is no interval."""
    high: float | None = None
    """The upper limit, likewise."""

    @property
    def is_significant(self) -> bool:
        """Whether a change is clear: its interval is known and does not hold 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def negated(self) -> Self:
        """The figure with the opposite sign: what was saved, as a change."""
        low, high = (None if limit is None else -limit for limit in (self.high, self.low))
        return type(self)(value=-self.value, low=low, high=high)


Number = Annotated[Figure, NUMBER]
Quotient = Annotated[Figure, QUOTIENT]


def other_name(name: str, held_out: Iterable[str]) -> str:
    """The name of a text in another language, or of code, that none of the texts `held_out` has."""
    return f"other: {name}" if name in {*held_out, ALL_HELD_OUT} else name


def text_title(name: str) -> str:
    """What people read where a report has the text `name`."""
    return "all held-out text" if name == ALL_HELD_OUT else name


def furthest_model(names: Iterable[str]) -> str | None:
    """The last of our models in `names`, in the order in which ekle makes them."""
    found = set(names)
    return next((name for name in reversed(OURS) if name in found), None)


def unit_of(field: FieldInfo, value: object) -> Unit:
    """The unit of a key that holds `value`: the marked one; otherwise a whole number is an amount, and any
    other figure is a share."""
    marked = field.json_schema_extra
    if isinstance(marked, dict) and "unit" in marked:
        unit: Unit = marked["unit"]  # type: ignore[assignment] # one of the marks above
        return unit
    return "amount" if isinstance(value, int) else "share"
