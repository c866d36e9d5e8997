"""A report.json as ekle 0.1 wrote it, format 1, made from one of today."""

from typing import Any

from ekle.artifacts.renamed_keys import EVALUATION_KEYS, Renamed, rename_keys

BACK = [Renamed(key.path, key.new, key.old) for key in reversed(EVALUATION_KEYS)]


def of_format_1(content: dict[str, Any]) -> dict[str, Any]:
    """`content` with the old names; all else stays."""
    earlier: dict[str, Any] = rename_keys(content, BACK)
    return earlier | {"format": 1}
