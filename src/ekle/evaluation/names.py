"""Names that mean something wherever figures are read: keys of report.json."""

OURS = ("base", "extended", "trained")
"""The models that ekle makes; others that are measured have names of their own."""

TOGETHER = "together"
"""The held-out texts in the language to learn, taken as one."""
