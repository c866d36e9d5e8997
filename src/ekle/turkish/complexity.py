"""How hard a Turkish text is to read, by five measures and one score.

Turkish puts into words what other languages put between them, so a measure that counts letters and words
alone (Ateşman 1997 for Turkish, after Flesch 1948) misses half of it. The five measures, each worked by hand
in `tests/turkish/test_complexity.py`:

    morphemes   per word, root and suffixes: ev-ler-imiz-den has 4
    letters     per word
    words       per sentence
    rare        share of the words that are not frequent
    nesting     subordinate clauses per word: non-finite verbs (gel-diğ-i-ni, gid-ince) and words as `ki`;
                per word and not per sentence, because much web text has no full stops

The frequent words are those that make up nine tenths of the running words of the collection of texts. Only
they are looked up in the lexicon, so the cost grows much slower than the text. Where the lexicon gives
several readings (gelme: *coming*, *do not come*), each counts the same.

The score is the mean of a text's five ranks within its collection, from 0 to 1. Ranks have no unit, so no
weights have to be invented. After Platanios et al. (2019), whose difficulty is a rank too.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ekle.files import read_table
from ekle.turkish import casing
from ekle.turkish.alphabet import is_turkish_word
from ekle.turkish.analysis import APOSTROPHES, stem_of
from ekle.turkish.lexicon import Reading
from ekle.turkish.reading_cache import read_words
from ekle.turkish.suffixes import chain

FREQUENT = 0.9
"""Share of the running words that the frequent words make up."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
# A mark before a small letter ends no sentence: "19. yüzyılda", "Dr. olarak".
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s+[^\sa-zçğıöşüâîû]|\s*$)|\n+")
_NON_FINITE = ("PART.", "VN", "INF", "CONV.", "WHILE", "AS.IF")
"""The beginnings of the labels of suffixes that make a clause of a verb, but no sentence."""


class Word(NamedTuple):
    """A frequent word: its morphemes, and the subordinate clauses that it makes, on average over its
    readings."""

    morphemes: float
    clauses: float


class Complexity(NamedTuple):
    """The five measures of a text; all 0 where it has no word."""

    morphemes: float
    letters: float
    words: float
    rare: float
    nesting: float


def split_words(text: str) -> list[str]:
    """The words of `text` as spelled there; what follows an apostrophe belongs to the word before it."""
    return _WORD.findall(text)


def frequent_words(
    counts: Mapping[str, int], share: float = FREQUENT, processes: int = 0, remember: bool = True
) -> dict[str, Word]:
    """Every spelling of the words that make up `share` of the running words, the rarest of them all or none.

    Args:
        counts: spellings, as `split_words` gives them, and how often each occurs.
        share: of the running words.
        processes: number of processes that read words in the lexicon; 0 means one per core.
        remember: keep the lexicon's readings in the user's cache folder.
    """
    lowered = {spelling: casing.lower(spelling) for spelling in counts}
    totals: dict[str, int] = {}
    for spelling, count in counts.items():
        totals[lowered[spelling]] = totals.get(lowered[spelling], 0) + count
    needed, least = share * sum(totals.values()), 0
    for count in sorted(totals.values(), reverse=True):
        if needed <= 0:
            break
        needed, least = needed - count, count
    frequent = [word for word, count in totals.items() if count >= least > 0]
    stems = {stem for word in frequent if is_turkish_word(stem := stem_of(word))}
    readings = read_words(sorted(stems), processes, remember)
    known = {word: _word(word, readings.get(stem_of(word), [])) for word in frequent}
    return {spelling: known[word] for spelling, word in lowered.items() if word in known}


def measure(text: str, frequent: Mapping[str, Word]) -> Complexity:
    """The five measures of `text`, given the frequent words of its collection."""
    words = split_words(text)
    if not words:
        return Complexity(0, 0, 0, 0, 0)
    known = [frequent[word] for word in words if word in frequent]
    sentences = sum(1 for part in _SENTENCE_END.split(text) if _WORD.search(part))
    return Complexity(
        morphemes=sum(word.morphemes for word in known) / len(known) if known else 0,
        letters=sum(map(len, words)) / len(words),
        words=len(words) / sentences,
        rare=1 - len(known) / len(words),
        nesting=sum(word.clauses for word in known) / len(words),
    )


def scores(measured: Sequence[Complexity] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(n,) one score for each text (n, 5) of a collection: the mean of its five ranks, from 0 (easiest) to 1.

    Equal values share the middle of their ranks; a collection of one text has the score 0.5.
    """
    columns = np.array(measured, dtype=np.float64).reshape(-1, len(Complexity._fields)).T
    return np.asarray(np.mean([_ranks(column) for column in columns], axis=0))


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of values below each value, with equal ones counted half."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: npt.NDArray[np.float64] = (np.cumsum(counts) - counts / 2) / len(values)
    return middles[place]


def _word(word: str, readings: Sequence[Reading]) -> Word:
    """A lower-case word, which may have an apostrophe; one that the lexicon lacks is one morpheme."""
    tail = word[len(stem_of(word)) :].lstrip(APOSTROPHES)
    tail_morphemes = len(chain(tail) or (tail,)) if tail else 0
    if word in _subordinators():
        return Word(1 + tail_morphemes, 1)
    if not readings:
        return Word(1 + tail_morphemes, 0)
    morphemes = sum(1 + len(reading.morphemes) for reading in readings) / len(readings)
    clauses = sum(map(_clauses, readings)) / len(readings)
    return Word(morphemes + tail_morphemes, clauses)


def _clauses(reading: Reading) -> int:
    return sum(label.startswith(_NON_FINITE) for label in reading.labels)


@cache
def _subordinators() -> frozenset[str]:
    return frozenset(row["word"] for row in read_table("ekle.turkish", "subordinators"))
