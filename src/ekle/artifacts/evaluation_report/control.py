"""Ours against the control: the unchanged base, trained by the same engine for as many operations."""

from typing import Annotated

from ekle.artifacts.evaluation_report.figures import AMOUNT, NUMBER, Part
from ekle.page.formatting import percent, size

Operations = Annotated[float, AMOUNT]
Bits = Annotated[float, NUMBER]


class CurvePoint(Part):
    """An evaluation on held-out text while training."""

    step: int
    """Steps done."""
    flops: Operations
    """Floating-point operations so far, with those of learning the new rows."""
    text_bytes: int | None = None
    """UTF-8 bytes of the text learned from so far; absent in a training that ekle 0.2 began."""
    bits_per_byte: Bits
    """Of the held-out text."""


class ControlComparison(Part):
    """Two trainings over the same text, by what they took."""

    ours: list[CurvePoint]
    """The extended model while training."""
    control: list[CurvePoint]
    """The base with its own tokenizer while training."""
    end_flops: Operations
    """Operations up to which both were trained."""
    difference: float
    """Bits per byte of ours at `end_flops` over those of the control, less 1: below 0, ours is ahead."""
    crossing_flops: Operations | None = None
    """Operations after which ours needs fewer bits than the control for good; absent if it never does."""
    crossing_share: float | None = None
    """The same as a share of `end_flops`."""
    end_bytes: int | None = None
    """Bytes of text up to which both were trained."""
    difference_by_bytes: float | None = None
    """As `difference`, at `end_bytes`."""
    crossing_bytes: int | None = None
    """As `crossing_flops`, in bytes of text."""

    @property
    def by_compute(self) -> str:
        """What came out at equal operations, as a sentence without its subject."""
        ends = _ends(self.difference)
        if self.crossing_flops is None or self.crossing_share is None:
            return f"does not cross the control; it ends {ends}"
        share = percent(self.crossing_share, 0)
        return (
            f"crosses the control after {self.crossing_flops:.2g} operations, {share} of all, and ends {ends}"
        )

    @property
    def by_bytes(self) -> str | None:
        """The same at equal text; None where bytes were not counted."""
        if self.difference_by_bytes is None:
            return None
        ends = _ends(self.difference_by_bytes)
        if self.crossing_bytes is None:
            return f"does not cross the control; it ends {ends}"
        return f"crosses the control after {size(self.crossing_bytes)} of text and ends {ends}"


def _ends(difference: float) -> str:
    return f"{percent(abs(difference))} {'ahead' if difference < 0 else 'behind'}"
