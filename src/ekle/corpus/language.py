"""Whether a text is Turkish, from its words alone.

A word counts as Turkish when it is in the Turkish list of `wordfreq` and no more frequent in the list of
another language. Words are compared without case, dots, cedillas and circumflexes, so that capitals, "Turkce"
typed without its letters and i + U+0307 are Turkish too.
"""

from functools import cache

import polars as pl
import wordfreq

from ekle.errors import TextError
from ekle.turkish import casing

LEAST_SHARE = 0.5
"""Below this share of Turkish words a text is not Turkish; docs/log.md has the measurement."""
_OTHERS = ("de", "en", "es", "fr", "id", "it", "nl", "pl", "pt")  # written in Latin letters, with word lists
_TYPES = 50_000  # the most frequent words; the rest would change the share by a point or two
_FEW = 20  # words that are too few to refuse a text
_FOLDED = str.maketrans("çğıöşüâîû", "cgiosuaiu", "\u0307")


def turkish_share(counts: pl.DataFrame) -> float | None:
    """The share of Turkish words among the words of pre-token counts; None for fewer than 20 words.

    Args:
        counts: columns `text` and `count`, most frequent first, word lists not included.
    """
    words = counts.filter(pl.col("text").str.contains(r"\p{L}{2}")).head(_TYPES)
    turkish, others = _lists()
    total = known = 0
    for text, count in words.iter_rows():
        word = _fold(text.strip(" '’\"(“"))
        total += count
        own = turkish.get(word, 0.0)
        known += count if own and own >= others.get(word, 0.0) else 0
    return known / total if total >= _FEW else None


def check_turkish(share: float | None) -> None:
    """Refuse a text that is not Turkish.

    Raises:
        TextError: names the share of Turkish words.
    """
    if share is not None and share < LEAST_SHARE:
        raise TextError(
            f"this text is not Turkish: {share:.0%} of its words are, where Turkish text has at least "
            f"{LEAST_SHARE:.0%}; give other text, or go on with --any-language (vocabulary.any_language)"
        )


def _fold(word: str) -> str:
    return casing.plain_lower(casing.clean(word)).translate(_FOLDED)


@cache
def _lists() -> tuple[dict[str, float], dict[str, float]]:
    """Frequency of each folded word in Turkish, and the highest in any other language."""
    turkish = _folded("tr")
    others: dict[str, float] = {}
    for language in _OTHERS:
        for word, frequency in _folded(language).items():
            others[word] = max(frequency, others.get(word, 0.0))
    return turkish, others


def _folded(language: str) -> dict[str, float]:
    folded: dict[str, float] = {}
    for word, frequency in wordfreq.get_frequency_dict(language, wordlist="small").items():
        key = word if word.isascii() else _fold(word)  # the lists are in lower case
        folded[key] = folded.get(key, 0.0) + frequency
    return folded
