"""Why a word still costs many tokens, as far as its own letters and a lexicon can tell."""

from typing import Any

from tokenizers import Tokenizer

from ekle.bpe.segmentation import ChangedWord
from ekle.turkish.analysis import stem_of
from ekle.turkish.lexicon import Reading, readings


def explain(extended: Tokenizer, word: ChangedWord) -> dict[str, Any]:
    """What stands in the way of a shorter cut of `word`, the first of these that holds.

    Returns:
        `why`, which is `pre_tokenizer` (it cuts the word in `pieces`, and no token crosses such a cut);
        `unknown` (the lexicon has no reading: a name, a foreign word, a slip); `root` (the `root` has no
        token of its own); `capital` (it has one in lower case, but none as it is written here); or
        `suffixes` (it has one; the `suffixes` behind it take the rest). Empty for a word that is one token.
    """
    if len(word.after) < 2:
        return {}
    pre_tokens = _pre_tokens(extended, word.word)
    if len(pre_tokens) > 1:
        return {"why": "pre_tokenizer", "pieces": pre_tokens}
    found = readings(stem_of(word.word))
    if not found:
        return {"why": "unknown"}
    # The longest root that is one token explains the most; where none is, the longest there is.
    written = [reading for reading in found if _is_token(extended, word.word[: len(reading.root)])]
    lower = [reading for reading in found if _is_token(extended, reading.root)]
    best = max(written or lower or found, key=lambda reading: len(reading.root))
    why = "suffixes" if written else "capital" if lower else "root"
    return {"why": why, "root": best.root, **_suffixes(best)}


def _suffixes(reading: Reading) -> dict[str, list[str]]:
    """Those with letters of their own."""
    return {"suffixes": [morpheme for morpheme in reading.morphemes if morpheme]}


def _is_token(tokenizer: Tokenizer, root: str) -> bool:
    return len(tokenizer.encode_batch_fast([f" {root}"], add_special_tokens=False)[0]) == 1


def _pre_tokens(tokenizer: Tokenizer, word: str) -> list[str]:
    """The letters between the cuts of the pre-tokenizer."""
    if tokenizer.pre_tokenizer is None:
        return [word]
    spelled = f" {word}"
    segments = tokenizer.pre_tokenizer.pre_tokenize_str(spelled)
    return [pre_token for _, (start, end) in segments if (pre_token := spelled[start:end].strip())]
