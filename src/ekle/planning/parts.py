"""A line of a plan."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Something that takes memory or room on the disk."""

    name: str
    bytes: int
    formula: str
    """How the bytes come about, in words and numbers."""


@dataclass(frozen=True)
class Moment:
    """A moment of training, and what is in memory then besides what always is."""

    name: str
    parts: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """All parts together."""
        return total(self.parts)


def total(parts: Iterable[Part]) -> int:
    """Bytes of all parts together."""
    return sum(part.bytes for part in parts)
