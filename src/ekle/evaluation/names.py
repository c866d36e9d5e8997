"""Names that mean something wherever figures are read: keys of report.json."""

from collections.abc import Iterable, Mapping
from typing import Any

FORMAT = 1
"""Of report.json; grows when a key changes its meaning."""

OURS = ("base", "extended", "trained")
"""The models that ekle makes; others that are measured have names of their own."""

ALL_HELD_OUT = "together"
"""The held-out texts in the language to learn, taken as one."""

HUMAN_TEXT = "held_out"
"""Text that people wrote, where it stands among the models whose text is judged."""


def other_name(name: str, held_out: Iterable[str]) -> str:
    """What a text in another language, or code, is called beside the texts `held_out`, if need be apart."""
    return f"other: {name}" if name in {*held_out, ALL_HELD_OUT} else name


def other_names(figures: Mapping[str, Any]) -> dict[str, str]:
    """The texts in other languages and the code of a report.json: what each is called where all texts stand
    together (`likelihood`, `overlap`), by its name among the others (`texts`, `drift`).
    """
    texts = figures.get("texts", {})
    return {name: other_name(name, texts.get("held_out", {})) for name in texts.get("other", {})}


def furthest_model(names: Iterable[str]) -> str | None:
    """The one of our models in `names` that came furthest."""
    found = set(names)
    return next((name for name in reversed(OURS) if name in found), None)
