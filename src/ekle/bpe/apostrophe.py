"""A pre-tokenizer that leaves Turkish suffixes after an apostrophe whole: the base's without contractions.

Qwen cuts off English contractions wherever they stand, so that "Ankara'da" is `Ankara|'d|a`. Without that
group it is `Ankara|'da`, and the contractions are still pre-tokens, because an apostrophe may begin one.
llama.cpp knows this pattern as the pre-tokenizer type `ufakzeka` (release b11034 and later).
"""

from typing import Any

from ekle.bpe.base import BaseTokenizer

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
