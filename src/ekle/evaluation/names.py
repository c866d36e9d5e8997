"""Names that mean something wherever figures are read: keys of report.json."""

from collections.abc import Iterable

FORMAT = 1
"""Of report.json; grows when a key changes its meaning."""

OURS = ("base", "extended", "trained")
"""The models that ekle makes; others that are measured have names of their own."""

TOGETHER = "together"
"""The held-out texts in the language to learn, taken as one."""

PEOPLE = "held_out"
"""Text that people wrote, where it stands among the models whose text is judged."""


def last_of_ours(names: Iterable[str]) -> str | None:
    """The one of our models in `names` that came furthest."""
    found = set(names)
    return next((name for name in reversed(OURS) if name in found), None)
