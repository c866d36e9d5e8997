"""Vowel harmony: which vowel a suffix takes, and whether morphemes obey it.

Two-fold: a low vowel (A) is e after front vowels and a after back ones. Four-fold: a high vowel (I) also
follows the lips, so it is i, ı, ü or u. The rule binds suffixes to their stem and to each other; the
inside of a root is free (kitap, otobüs). The language has its own exceptions, listed in `data/harmony.tsv`
(Göksel and Kerslake, Turkish: A Comprehensive Grammar, 2005, section 3.2).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ekle.files import read_table
from ekle.turkish import casing
from ekle.turkish.alphabet import BACK, FRONT, HIGH, ROUNDED
from ekle.turkish.alphabet import vowels as _vowels_of

Verdict = Literal["harmonic", "exception", "violation", "none"]
Reason = Literal["", "invariable", "verb", "loan", "suffix", "letters"]


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the reason and the vowels of a breach.

    `reason` is that of the table for an exception, `suffix` for a suffix that does not suit the vowel before
    it, and `letters` for letters without an analysis. `breach` is the two vowels that do not agree.
    """

    verdict: Verdict
    reason: Reason = ""
    breach: str = ""


NOTHING_TO_JUDGE = Judgement("none")
"""Fewer than two vowels that could disagree."""


def two_fold(vowel: str) -> str:
    """The low vowel of a suffix after `vowel`: e or a."""
    return "e" if vowel in FRONT else "a"


def four_fold(vowel: str) -> str:
    """The high vowel of a suffix after `vowel`: i, ı, ü or u."""
    if vowel in FRONT:
        return "ü" if vowel in ROUNDED else "i"
    return "u" if vowel in ROUNDED else "ı"


def agrees(before: str, after: str) -> bool:
    """Whether vowel `after` may follow `before` in a suffix: four-fold if it is high, two-fold otherwise."""
    if after in HIGH:
        return _plain(after) == four_fold(before)
    return (after in FRONT) == (before in FRONT)


def heard(root: str) -> str:
    """Lower-case `root` with the vowel that suffixes follow: a loan of the table has a front last vowel (saat
    as if saet)."""
    if not _loan(root):
        return root
    place = max(root.rfind(vowel) for vowel in BACK)
    return root[:place] + root[place].translate(_FRONTED) + root[place + 1 :]


def judge(morphemes: Sequence[str]) -> Judgement:
    """Judge a root with its suffixes, or a chain of suffixes.

    Args:
        morphemes: surface morphemes in any case; the inside of the first is not judged, because it may be
            a root.

    Returns:
        `none` when fewer than two morphemes have a vowel; `exception` when each breach is listed in the
        table: at an invariable suffix, or at the first suffix after a loan; else `harmonic` or `violation`.
    """
    parts = [casing.lower(morpheme) for morpheme in morphemes]
    last, found = "", NOTHING_TO_JUDGE
    for place, part in enumerate(parts):
        here = _vowels_of(part)
        if not here:
            continue
        for before, after in itertools.pairwise(last + here) if last else ():
            if agrees(before, after):
                found = found if found.verdict == "exception" else Judgement("harmonic")
                continue
            reason = _excuse(part) or (_loan(parts[0]) if place and last in _vowels_of(parts[0])[-1:] else "")
            if not reason:
                return Judgement("violation", "suffix", before + after)
            found = Judgement("exception", reason, before + after)
        last = here[-1]
    return found


def judge_letters(text: str) -> Judgement:
    """Judge letters whose morphemes are not known, vowel by vowel; a breach may be inside a root, where it is
    free."""
    here = _vowels_of(casing.lower(text))
    if len(here) < 2:
        return NOTHING_TO_JUDGE
    for before, after in itertools.pairwise(here):
        if not agrees(before, after):
            return Judgement("violation", "letters", before + after)
    return Judgement("harmonic")


def check(morphemes: Sequence[str]) -> Verdict:
    """The verdict of `judge` alone."""
    return judge(morphemes).verdict


def _excuse(suffix: str) -> Reason:
    """Why a suffix need not agree; the listed form may follow its connecting vowel (-iyor, -ebil)."""
    for start in range(3):
        reason = _table().get(suffix[start:], "")
        if reason in ("invariable", "verb"):
            return reason
    return ""


def _loan(root: str) -> Reason:
    return "loan" if _table().get(root) == "loan" else ""


def _plain(vowel: str) -> str:
    return vowel.translate(_CIRCUMFLEX)


@cache
def _table() -> dict[str, Reason]:
    return {row["form"]: row["reason"] for row in read_table("ekle.turkish", "harmony")}  # type: ignore[misc]


_FRONTED = str.maketrans("aıouâû", "eiöüeü")
_CIRCUMFLEX = str.maketrans("âîû", "aiu")
