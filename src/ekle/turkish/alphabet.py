"""The letters of Turkish, and what its vowels and consonants share.

Sets are lower case; ask `ekle.turkish.casing` first where case may differ.
"""

from functools import lru_cache

LETTERS = "abcçdefgğhıijklmnoöprsştuüvyz"
"""The 29 letters in the order of the alphabet."""

CIRCUMFLEX = "âîû"
"""Vowels of loans, written over the plain letter where the sound or the meaning asks for it (kâr, hâlâ)."""

FRONT, BACK = "eiöüî", "aıouâû"
"""Where the tongue is: the two-fold harmony. The circumflex of û and â is spelling; suffixes hear u and a."""

ROUNDED, UNROUNDED = "oöuüû", "aeıiâî"
"""How the lips are: with frontness, the four-fold harmony."""

HIGH = "ıiuüîû"
"""The vowels that a suffix with I can have."""

VOWELS = frozenset(FRONT + BACK)

VOICELESS = frozenset("çfhkpsşt")
"""After these, a suffix's d, c and g are t, ç and k (the word for them: fıstıkçı şahap)."""

TURKISH_ONLY = frozenset("ğışĞİŞ")
"""Letters that English, German, French and Spanish lack; I is left out, because they have it."""

SOFTENED = {"b": "p", "c": "ç", "d": "t", "ğ": "k", "g": "k"}
"""A root's last consonant before a vowel, and what it is elsewhere: kitab-ı, kitap."""


@lru_cache(1 << 16)  # beginnings of words come again and again
def vowels(text: str) -> str:
    """The vowels of lower-case `text`, in order: kitaplar -> iaa."""
    return "".join(letter for letter in text if letter in VOWELS)


def is_turkish_word(text: str) -> bool:
    """Whether lower-case `text` is made of Turkish letters alone (circumflexes included)."""
    return bool(text) and _ALL.issuperset(text)


_ALL = frozenset(LETTERS + CIRCUMFLEX)
