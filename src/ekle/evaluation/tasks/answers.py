"""How well a written answer fits the right ones: exact match and F1 of words (Rajpurkar et al. 2016)."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from ekle.evaluation.tasks.formats import Language
from ekle.turkish import casing

_ARTICLES = frozenset({"a", "an", "the"})


def score_answer(text: str, answers: Sequence[str], language: Language) -> dict[str, float]:
    """`exact_match` (0 or 1) and `f1` (0 to 1) against the one of `answers` that fits best.

    Case and punctuation do not count; nor do articles in English. Turkish "bir" counts, because it is also a
    number, and a suffix belongs to its word: "Ankara'da" is not "Ankara".
    """
    found = _words(text, language)
    rights = [_words(answer, language) for answer in answers]
    return {
        "exact_match": float(any(found == right for right in rights)),
        "f1": max(_f1(found, right) for right in rights),
    }


def _f1(found: Sequence[str], right: Sequence[str]) -> float:
    common = (Counter(found) & Counter(right)).total()
    if not common:
        return float(not found and not right)
    precision, recall = common / len(found), common / len(right)
    return 2 * precision * recall / (precision + recall)


def _words(text: str, language: Language) -> list[str]:
    small = casing.lower(text) if language == "tr" else casing.plain_lower(text)
    bare = "".join(letter for letter in small if not unicodedata.category(letter).startswith("P"))
    return [word for word in bare.split() if language != "en" or word not in _ARTICLES]
