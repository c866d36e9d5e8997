"""Vowel harmony: a suffix vowel follows the vowel before it in frontness, high ones also in rounding.

The rule binds suffixes to their stem and to each other. Roots need not obey it (kitap, otobüs), and the
language names its own exceptions (Göksel and Kerslake 2005, chapter 3).
"""

import itertools
from collections.abc import Sequence
from typing import Literal

from ekle.turkish import casing

Verdict = Literal["harmonic", "exception", "violation", "none"]

FRONT, BACK = "eiöüî", "aıouâû"
ROUND, UNROUNDED = "oöuüû", "aeıiâî"
INVARIABLE = ("yor", "ken", "ki", "leyin", "mtırak", "gil", "daş", "gen")
"""Suffixes whose vowel never changes, whatever stands before them."""


def vowels(text: str) -> list[str]:
    """The vowels of `text` in order, lower-cased."""
    return [letter for letter in casing.lower(text) if letter in FRONT + BACK]


def check(morphemes: Sequence[str]) -> Verdict:
    """Judge a root with its suffixes, or a chain of suffixes.

    Args:
        morphemes: surface morphemes; the first may be a root of several syllables, whose inside is
            not judged.

    Returns:
        `none` when fewer than two morphemes have a vowel, `exception` when the only breach is an
        invariable suffix or follows one, else `harmonic` or `violation`.
    """
    verdict: Verdict = "none"
    last = ""
    excused = False
    for morpheme in morphemes:
        here = vowels(morpheme)
        if not here:
            continue
        if last:
            invariable = casing.lower(morpheme).lstrip("ıiuü") in INVARIABLE
            chain = [last, *here]
            if all(_agree(a, b) for a, b in itertools.pairwise(chain)):
                verdict = verdict if verdict == "exception" else "harmonic"
            elif invariable or excused:
                verdict = "exception"
            else:
                return "violation"
            excused = invariable
        last = here[-1]
    return verdict


def _agree(before: str, after: str) -> bool:
    """Two-fold harmony for low vowels, four-fold for high ones; o and ö follow nothing in suffixes."""
    if (before in FRONT) != (after in FRONT):
        return False
    if after in "ıiuü":
        return (before in ROUND) == (after in ROUND)
    return True
