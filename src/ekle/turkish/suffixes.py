"""Turkish suffixes: their surface forms, and strings read as chains of them.

`data/suffixes.tsv` has every suffix once, in archiphonemic form, with the places in a word where it may begin
and to which it leads. This file realises the forms and finds chains. Nothing here knows a root.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from ekle.files import read_table
from ekle.turkish import casing
from ekle.turkish.alphabet import VOICELESS, VOWELS, vowels
from ekle.turkish.harmony import four_fold, two_fold

# The form after a vowel or a voiced consonant, and the form after the other consonants.
_VOICED = {"D": "dt", "C": "cç", "G": "gk"}
_LONGEST = 8  # letters of the longest surface form (-meksizin)


@dataclass(frozen=True, slots=True)
class Suffix:
    """One row of the table; the header of the file says what the columns mean."""

    form: str
    label: str
    kind: str
    after: str
    sources: frozenset[str]
    target: str
    cost: float

    @property
    def softens(self) -> bool:
        """Whether its last k becomes ğ before a vowel."""
        return self.form.endswith("K")


class Chain(NamedTuple):
    """A reading of a string as suffixes: surfaces and their labels; the lower the cost, the likelier."""

    morphemes: tuple[str, ...]
    labels: tuple[str, ...]
    cost: float


@cache
def suffixes() -> tuple[Suffix, ...]:
    """The suffixes of the table, in its order."""
    return tuple(
        Suffix(
            row["form"],
            row["label"],
            row["class"],
            row["after"],
            frozenset(row["from"].split(",")),
            row["to"],
            float(row["cost"]),
        )
        for row in read_table("ekle.turkish", "suffixes")
    )


@cache
def allomorphs() -> dict[str, tuple[Suffix, ...]]:
    """Each surface form, in any context, with the suffixes that can have it."""
    found: dict[str, list[Suffix]] = {}
    for suffix in suffixes():
        for surface in sorted(realise(suffix, "")):
            found.setdefault(surface, []).append(suffix)
    return {surface: tuple(owners) for surface, owners in found.items()}


def realise(suffix: Suffix, before: str) -> frozenset[str]:
    """The surface forms of `suffix` after the lower-case text `before`.

    One form, or two where the last letter can soften (-lIK: lık, lığ). Where `before` does not decide
    (it is empty, or has no vowel), every form that it allows.
    """
    vowel = vowels(before)[-1:]
    return _realise(suffix, before[-1:], vowel)


@cache
def _realise(suffix: Suffix, last: str, vowel: str) -> frozenset[str]:
    if last and not _may_follow(suffix.after, last):
        return frozenset()
    # (letters so far, last letter, last vowel); "" where unknown
    states = [("", last, vowel)]
    form = suffix.form
    place = 0
    while place < len(form):
        optional = form[place] == "("
        letter = form[place + 1] if optional else form[place]
        place += 3 if optional else 1
        final = place == len(form)
        states = [longer for state in states for longer in _extend(state, letter, optional, final)]
    return frozenset(text for text, _, _ in states if text)


def _extend(
    state: tuple[str, str, str], letter: str, optional: bool, final: bool
) -> list[tuple[str, str, str]]:
    """A state with one more letter of the form, in every possible way."""
    text, last, vowel = state
    is_vowel = letter in "AI"
    if optional and last and (last in VOWELS) == is_vowel:
        return [state]  # the buffer is not needed
    if letter == "A":
        choices = "ae" if not vowel else two_fold(vowel)
    elif letter == "I":
        choices = "ıiuü" if not vowel else four_fold(vowel)
    elif letter in _VOICED:
        choices = _VOICED[letter] if not last else _VOICED[letter][last in VOICELESS]
    elif letter == "K":
        choices = "kğ" if final else "k"
    else:
        choices = letter
    longer = [(text + choice, choice, choice if choice in VOWELS else vowel) for choice in choices]
    return [*longer, state] if optional and not last else longer


def _may_follow(after: str, last: str) -> bool:
    match after:
        case "-":
            return True
        case "V":
            return last in VOWELS
        case "C":
            return last not in VOWELS
        case letters:
            return last in letters


def chains(text: str, before: str = "", places: Collection[str] | None = None) -> tuple[Chain, ...]:
    """Every reading of `text` as a legal chain of suffixes in harmony, the likeliest first.

    Args:
        text: letters from inside or from the end of a word, in any case.
        before: the lower-case letters before it, where known; the first suffix must suit them.
        places: where the chain may begin ({"noun"} after a bare noun); default anywhere, so that
            "lerimizden", "imizden" and "den" all pass.

    A k that would have to soften before the next suffix, or a ğ before a consonant, ends a reading. At the
    end of `text` both are allowed, because a token may end inside a word.
    """
    start = frozenset(places) if places is not None else None
    return _chains(casing.lower(text), before[-1:], vowels(before)[-1:], start)


@lru_cache(maxsize=65536)
def _chains(text: str, last: str, vowel: str, places: frozenset[str] | None) -> tuple[Chain, ...]:
    table = allomorphs()
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], float] = {}
    # (start, place, whether a k/ğ depends on the next letter, morphemes, labels, cost)
    open_paths: list[tuple[int, str, bool, tuple[str, ...], tuple[str, ...], float]]
    open_paths = [(0, "", False, (), (), 0.0)]
    while open_paths:
        start, place, waiting, morphemes, labels, cost = open_paths.pop()
        if start == len(text) and start:
            key = (morphemes, labels)
            found[key] = min(cost, found.get(key, cost))
            continue
        heard_last = text[start - 1] if start else last
        heard_vowel = vowels(text[:start])[-1:] or vowel
        for end in range(start + 1, min(len(text), start + _LONGEST) + 1):
            surface = text[start:end]
            if waiting and (surface[0] in VOWELS) != (heard_last == "ğ"):
                continue
            for suffix in table.get(surface, ()):
                reachable = place in suffix.sources if start else places is None or places & suffix.sources
                if reachable and surface in _realise(suffix, heard_last, heard_vowel):
                    waits = suffix.softens
                    parts, names = (*morphemes, surface), (*labels, suffix.label)
                    open_paths.append((end, suffix.target, waits, parts, names, cost + suffix.cost))
    readings = [Chain(*key, round(cost, 2)) for key, cost in found.items()]
    return tuple(sorted(readings, key=lambda reading: (reading.cost, len(reading.morphemes), reading)))


def chain(text: str) -> tuple[str, ...] | None:
    """The morphemes of the likeliest reading of `text` as a chain of suffixes, or None if there is none."""
    readings = chains(text)
    return readings[0].morphemes if readings else None


@cache
def costs() -> dict[str, float]:
    """Each label with the cost of its likeliest row."""
    lowest: dict[str, float] = {}
    for suffix in suffixes():
        lowest[suffix.label] = min(suffix.cost, lowest.get(suffix.label, suffix.cost))
    return lowest


@cache
def kinds() -> dict[str, str]:
    """Each label with its class: nominal, verbal, copular or derivational."""
    return {suffix.label: suffix.kind for suffix in suffixes()}
