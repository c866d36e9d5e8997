"""Turkish case: the only file that may call `str.lower` and its relatives.

Python's own rules turn 'KIRK' into 'kirk' and 'İKİ' into a word with combining dots; Turkish pairs
I with ı and İ with i.
"""

import unicodedata

import polars as pl

_TO_LOWER = str.maketrans({"I": "ı", "İ": "i"})
_TO_UPPER = str.maketrans({"i": "İ", "ı": "I"})
_DOTTED = "i\u0307"  # what `str.lower` makes of İ


def clean(text: str) -> str:
    """NFC, with a stray i + U+0307 as i; every function for Turkish below starts with this."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    while _DOTTED in composed:  # one pass may bring two dots together
        composed = composed.replace(_DOTTED, "i")
    return unicodedata.normalize("NFC", composed)


def lower(text: str) -> str:
    """Lower case with I -> ı and İ -> i, in NFC; a stray i + U+0307 becomes i."""
    return clean(clean(text).translate(_TO_LOWER).lower())


def upper(text: str) -> str:
    """Upper case with i -> İ and ı -> I, in NFC."""
    return clean(clean(text).translate(_TO_UPPER).upper())


def capitalize(word: str) -> str:
    """The first letter in upper case, the rest unchanged, a space before it too: ' ılık' -> ' Ilık'."""
    text = clean(word)
    for place, letter in enumerate(text):
        if letter.isalpha():
            return text[:place] + upper(letter) + text[place + 1 :]
    return text


def fold(text: str) -> str:
    """A key under which spellings that differ only in case are equal; ß folds to ss."""
    return clean(lower(text).casefold())


def is_upper(word: str) -> bool:
    """Whether `word` has a letter and all its letters are upper case: 'TBMM', 'İ'."""
    return word.isupper()


def plain_lower(text: str) -> str:
    """Lower case by Unicode's rules, for other languages and for identifiers."""
    return text.lower()


def plain_upper(text: str) -> str:
    """Upper case by Unicode's rules, for other languages."""
    return text.upper()


def plain_capitalize(word: str) -> str:
    """The first letter in upper case by Unicode's rules, for other languages."""
    return word[:1].upper() + word[1:]


def plain_upper_column(words: pl.Expr) -> pl.Expr:
    """`plain_upper` of a column of many words."""
    return words.str.to_uppercase()


def plain_capitalize_column(words: pl.Expr) -> pl.Expr:
    """`plain_capitalize` of a column of many words."""
    return words.str.slice(0, 1).str.to_uppercase() + words.str.slice(1)
