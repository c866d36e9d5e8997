"""A sentence of the verdict, and when a figure is good or bad news."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from ekle.evaluation.confidence import clear

Kind = Literal["headline", "good", "bad", "plain", "note"]


class Sentence(NamedTuple):
    """A sentence of the verdict; `kind` says whether it is good news."""

    kind: Kind
    text: str


def news(change: Mapping[str, Any], *, less_is_better: bool = False) -> Kind:
    """What a change is: good or bad where its interval leaves 0 out, plain otherwise."""
    if not clear(change):
        return "plain"
    return "good" if (change["value"] < 0) == less_is_better else "bad"
