"""Pre-tokenizers that replace the base's: without English contractions, and with joined words."""

from collections.abc import Sequence
from typing import Any

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.qwen import WORD_PATTERN
from ekle.errors import TokenizerError

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"


def without_contractions(pattern: str) -> str:
    """A pre-tokenizer's regular expression without its first way, the English contractions."""
    return pattern.removeprefix(_CONTRACTIONS)


def apostrophe_pre_tokenizer(base: BaseTokenizer) -> dict[str, Any] | None:
    """The base's `pre_tokenizer` of tokenizer.json without contractions; None where it cuts off none."""
    own = base.spec["pre_tokenizer"]
    first, *others = own.get("pretokenizers") or [{}]
    regex = first.get("pattern", {}).get("Regex", "")
    if not regex.startswith(_CONTRACTIONS):
        return None
    return {**own, "pretokenizers": [{**first, "pattern": {"Regex": without_contractions(regex)}}, *others]}


MARKS = ".,;:!?"
"""Marks that stay with the word before them, where a space or the end of the text follows. Not after a
capital: initials and Roman numerals ("M.", "II.") belong to every language."""
PAUSES, ENDS = ",;:", ".!?:"
"""Marks that may stand before a joined word, inside a sentence and between two."""

# The same language as in WORD_PATTERN, spelled so that Oniguruma need not try seven words at each place.
_CONTRACTION = r"'(?i:[stmd]|re|ve|ll)"
_REST = r"\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def joined_pattern(inside: Sequence[str], opening: Sequence[str]) -> str:
    """The regular expression (Oniguruma) of the pre-tokenizer.

    Args:
        inside: words that stay joined to a word, or to a word and one of `PAUSES`, before them.
        opening: words that stay joined to a word and one of `ENDS` before them.
    """
    join = (
        rf"(?:[{PAUSES}]? {alternatives(inside)}(?!\p{{L}})|[{ENDS}] {alternatives(opening)}(?!\p{{L}}))*"
        rf"(?:(?<=\p{{Ll}})[{MARKS}](?= |\z)| (?=\p{{N}}))?"
    )
    # Most words follow a space; saying so first spares them the other alternatives.
    return rf" ?\p{{L}}++{join}|{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}++{join}|{_REST}"


def joined_pre_tokenizer(
    base: BaseTokenizer, inside: Sequence[str], opening: Sequence[str]
) -> dict[str, Any]:
    """The base's `pre_tokenizer` of tokenizer.json with the joining pattern in place of its own.

    Raises:
        TokenizerError: the base cuts words otherwise than Qwen does.
    """
    if not has_qwen_pre_tokenizer(base):
        raise TokenizerError(
            f"the compact profile needs a base that cuts words as Qwen does, which {base.name} does not; "
            "use --profile portable"
        )
    first, *others = base.spec["pre_tokenizer"]["pretokenizers"]
    split = {**first, "pattern": {"Regex": joined_pattern(inside, opening)}}
    return {**base.spec["pre_tokenizer"], "pretokenizers": [split, *others]}


def has_qwen_pre_tokenizer(base: BaseTokenizer) -> bool:
    """Whether the base normalises to NFC and cuts words by Qwen's regular expression."""
    first = (base.spec["pre_tokenizer"].get("pretokenizers") or [{}])[0]
    normalizer = base.spec.get("normalizer") or {}
    return first.get("pattern", {}).get("Regex") == WORD_PATTERN and normalizer.get("type") == "NFC"


def alternatives(words: Sequence[str]) -> str:
    """A regular expression for any of `words` (letters only), with equal beginnings written once."""
    tree: dict[str, Any] = {}
    for word in words:
        node = tree
        for letter in word:
            node = node.setdefault(letter, {})
        node[""] = {}
    return _written(tree)


def _written(node: dict[str, Any]) -> str:
    ways = [letter + _written(node[letter]) for letter in sorted(node) if letter]
    if not ways:
        return ""
    if len(ways) == 1 and "" not in node:
        return ways[0]
    return f"(?:{'|'.join(ways)})" + ("?" if "" in node else "")
