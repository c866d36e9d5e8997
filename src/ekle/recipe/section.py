"""What every section of a recipe has in common."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a recipe: typed, complete, and unchanged once read.

    Unknown keys are errors, because a mistyped key that is ignored costs a night of training.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def dotted(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested tables under its dotted name, such as ("training.dora.rank", 64)."""
    if not isinstance(content, dict):
        yield prefix, content
        return
    for key, inner in content.items():
        yield from dotted(inner, f"{prefix}.{key}" if prefix else key)
