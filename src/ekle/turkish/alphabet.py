"""The letters of Turkish, and the classes of its vowels and consonants.

Sets are lower case; ask `ekle.turkish.casing` first where case may differ.
"""

from functools import lru_cache

LETTERS = "abcçdefgğhıijklmnoöprsştuüvyz"
"""The 29 letters in the order of the alphabet."""

CIRCUMFLEX = "âîû"
"""Vowels of loans, written with a circumflex where sound or meaning needs it (kâr, hâlâ)."""

FRONT, BACK = "eiöüî", "aıouâû"
"""By the tongue: two-fold harmony. The circumflex of û and â is spelling; suffixes follow u and a."""

ROUNDED, UNROUNDED = "oöuüû", "aeıiâî"
"""By the lips: with frontness, four-fold harmony."""

HIGH = "ıiuüîû"
"""The vowels that a suffix with I can have."""

VOWELS = frozenset(FRONT + BACK)

VOICELESS = frozenset("çfhkpsşt")
"""After these, a suffix's d, c and g are t, ç and k (the word for them: fıstıkçı şahap)."""

SOFTENED = {"b": "p", "c": "ç", "d": "t", "ğ": "k", "g": "k"}
"""A root's last consonant before a vowel, and what it is elsewhere: kitab-ı, kitap."""


@lru_cache(1 << 16)  # beginnings of words recur
def vowels(text: str) -> str:
    """The vowels of lower-case `text`, in order: kitaplar -> iaa."""
    return "".join(letter for letter in text if letter in VOWELS)


def is_turkish_word(text: str) -> bool:
    """Whether lower-case `text` is made of Turkish letters alone (circumflexes included)."""
    return bool(text) and _ALL.issuperset(text)


_ALL = frozenset(LETTERS + CIRCUMFLEX)
