"""Keys that files of ekle 0.1 have under other names; 0.3 will no longer read these.

A table has a row for each renamed key: the keys that lead to the object it is in, its old name and its new
one. `*` stands for every key of an object and for every entry of a list. The keys that lead to a row are
today's, because the rows above it have been applied by then.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Renamed(NamedTuple):
    """A key with two names."""

    path: tuple[str, ...]
    old: str
    new: str


VOCABULARY_KEYS = (
    Renamed((), "trades", "size_trade_offs"),
    Renamed((), "quota_places_left_to_others", "unfilled_quotas"),
    Renamed(("protected",), "contractions_put_back", "contractions_restored"),
    Renamed(("keep", "forms", "*"), "was", "origin"),
    Renamed(("size_trade_offs", "*"), "root_uncut", "root_intact"),
)
"""Of a vocabulary's report.json."""

_BOUNDARIES = (
    ("root_uncut", "root_intact"),
    ("no_wrong_cut", "no_wrong_boundary"),
    ("root_uncut_difference", "root_intact_difference"),
)

EVALUATION_KEYS = (
    Renamed((), "beside", "peers"),
    Renamed((), "untouched", "preservation"),
    Renamed((), "overlap", "contamination"),
    Renamed(("tokens",), "together", "all_held_out"),
    Renamed(("peers", "*"), "together", "all_held_out"),
    Renamed(("likelihood", "*"), "together", "all_held_out"),
    Renamed(("tokens", "words"), "costly", "expensive"),
    Renamed(("tokens", "words", "expensive", "*"), "pieces", "pre_tokens"),
    *(Renamed(("morphology", "gold", "*", "by_tokenizer", "*"), *names) for names in _BOUNDARIES),
    *(Renamed(("morphology", "lexicon", "by_tokenizer", "*"), *names) for names in _BOUNDARIES),
    Renamed(("divergence", "*", "*"), "same_choice", "same_top_token"),
    Renamed(("tasks", "*", "models", "*"), "cut", "truncated"),
    *(Renamed(("vocabulary", *key.path), key.old, key.new) for key in VOCABULARY_KEYS),
)
"""Of an evaluation's report.json of format 1, which becomes one of format 2."""


def rename_keys(content: Any, table: Sequence[Renamed]) -> Any:
    """A copy of JSON content with the new names of `table`; keys keep their order, and others their names."""
    for path, old, new in table:
        content = _renamed(content, path, old, new)
    return content


def _renamed(part: Any, path: tuple[str, ...], old: str, new: str) -> Any:
    if not path:
        return {new if key == old else key: inner for key, inner in part.items()} if _is(part, old) else part
    first, *rest = path
    if isinstance(part, dict):
        return {
            key: _renamed(inner, tuple(rest), old, new) if first in ("*", key) else inner
            for key, inner in part.items()
        }
    if isinstance(part, list) and first == "*":
        return [_renamed(inner, tuple(rest), old, new) for inner in part]
    return part


def _is(part: Any, key: str) -> bool:
    """Whether `part` is an object that has `key`."""
    return isinstance(part, dict) and key in part
