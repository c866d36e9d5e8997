"""Pre-tokenizers that replace the base's: without English contractions, and with joined words."""

from collections.abc import Sequence
from typing import Any

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.qwen import WORD_PATTERN
from ekle.errors import TokenizerError

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"


def without_contractions(pattern: str) -> str:
    """A pre-tokenizer's regular expression without its first alternative, the English contractions."""
    return pattern.removeprefix(_CONTRACTIONS)


def apostrophe_pre_tokenizer(base: BaseTokenizer) -> dict[str, Any] | None:
    """The base's `pre_tokenizer` of tokenizer.json without contractions; None where it has none."""
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
"""Marks that may precede a joined word: inside a sentence, and between two sentences."""

# These match what WORD_PATTERN matches, written so that Oniguruma need not try seven words at each position.
CONTRACTION = r"'(?i:[stmd]|re|ve|ll)"
"""An English contraction, as Qwen's pre-tokenizer splits it off."""
_REST = r"\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def joined_pattern(inside: Sequence[str], sentence_start: Sequence[str]) -> str:
    """The regular expression (Oniguruma) of the joining pre-tokenizer.

    Args:
        inside: words that stay joined to a word, or to a word and one of `PAUSES`, before them.
        sentence_start: words that stay joined to a word and one of `ENDS` before them.
    """
    join = (
        rf"(?:[{PAUSES}]? {alternatives(inside)}(?!\p{{L}})"
        rf"|[{ENDS}] {alternatives(sentence_start)}(?!\p{{L}}))*"
        rf"(?:(?<=\p{{Ll}})[{MARKS}](?= |\z)| (?=\p{{N}}))?"
    )
    # Most words follow a space, so this alternative comes first and spares them the others.
    return rf" ?\p{{L}}++{join}|{CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}++{join}|{_REST}"


def joined_pre_tokenizer(
    base: BaseTokenizer, inside: Sequence[str], sentence_start: Sequence[str]
) -> dict[str, Any]:
    """The base's `pre_tokenizer` of tokenizer.json with `joined_pattern` instead of its own.

    Raises:
        TokenizerError: the base's pre-tokenizer is not Qwen's.
    """
    if not has_qwen_pre_tokenizer(base):
        raise TokenizerError(
            f"the compact profile needs a base with Qwen's pre-tokenizer, and {base.name} has another; "
            "use --profile portable (vocabulary.profile)"
        )
    first, *others = base.spec["pre_tokenizer"]["pretokenizers"]
    split = {**first, "pattern": {"Regex": joined_pattern(inside, sentence_start)}}
    return {**base.spec["pre_tokenizer"], "pretokenizers": [split, *others]}


def has_qwen_pre_tokenizer(base: BaseTokenizer) -> bool:
    """Whether the base normalises to NFC and pre-tokenizes by Qwen's regular expression."""
    first = (base.spec["pre_tokenizer"].get("pretokenizers") or [{}])[0]
    normalizer = base.spec.get("normalizer") or {}
    return first.get("pattern", {}).get("Regex") == WORD_PATTERN and normalizer.get("type") == "NFC"


def gguf_pre_tokenizer(spec: dict[str, Any]) -> str | None:
    """What llama.cpp calls the pre-tokenizer of a tokenizer.json (`tokenizer.ggml.pre`), if it has it.

    Its converter cannot tell "ufakzeka", Qwen's pre-tokenizer without contractions, from "qwen2": the text
    that it recognises pre-tokenizers by becomes the same tokens with either.
    """
    match spec.get("pre_tokenizer"):
        case {"pretokenizers": [{"pattern": {"Regex": str(regex)}}, {"type": "ByteLevel"}]}:
            known = {WORD_PATTERN: "qwen2", without_contractions(WORD_PATTERN): "ufakzeka"}
            return known.get(regex)
        case _:
            return None


def how_to_make_gguf(spec: dict[str, Any]) -> str:
    """What to do for a GGUF file that tokenizes as a tokenizer.json does, in sentences."""
    found = gguf_pre_tokenizer(spec)
    if found is None:
        return (
            "llama.cpp has no pre-tokenizer for this tokenizer, so a GGUF file would tokenize text in "
            "another way; --profile portable of ekle vocab makes one that it has"
        )
    converter = "convert_hf_to_gguf.py of llama.cpp reads a Hugging Face folder"
    if found == "qwen2":
        return f"{converter} and names the pre-tokenizer by itself (tokenizer.ggml.pre=qwen2)"
    return (
        f"{converter}, but takes the pre-tokenizer for Qwen2's; after it, gguf-new-metadata IN.gguf OUT.gguf "
        f"--pre-tokenizer {found} sets the right one (tokenizer.ggml.pre={found}, llama.cpp b11034 and later)"
    )


def alternatives(words: Sequence[str]) -> str:
    """A regular expression for any of `words` (letters only), with common prefixes written once."""
    tree: dict[str, Any] = {}
    for word in words:
        node = tree
        for letter in word:
            node = node.setdefault(letter, {})
        node[""] = {}
    return _regex_of(tree)


def _regex_of(node: dict[str, Any]) -> str:
    options = [letter + _regex_of(node[letter]) for letter in sorted(node) if letter]
    if not options:
        return ""
    if len(options) == 1 and "" not in node:
        return options[0]
    return f"(?:{'|'.join(options)})" + ("?" if "" in node else "")
