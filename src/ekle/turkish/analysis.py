"""The likeliest segmentation of every word of a text into root and suffixes, spelled as in the word.

The lexicon gives every reading that the grammar allows (kalemi: kalem-i, kale-m-i); the words of the text
decide. A reading is as likely as its stem times its endings,

    p(reading) = p(stem) * prod p(suffix | suffix before),

and both are estimated from all words together by expectation-maximisation (Dempster et al. 1977), so a stem
that explains many words of the text wins over one that explains few.

A dictionary stem counts as a root even where it is derived (öğretmen, başla, gelin): p(stem) is compared with
p of its parts for all of them. What is no dictionary stem is split (kitapçı-lık-tan where only kitapçı is
one). A word that the lexicon does not know is read as another word of the text with a chain of suffixes, if
there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ekle.turkish import casing
from ekle.turkish.alphabet import is_turkish_word, vowels
from ekle.turkish.lexicon import Reading
from ekle.turkish.reading_cache import read_words
from ekle.turkish.suffixes import chains, costs

APOSTROPHES = "'’"

_ROUNDS = 4  # of expectation-maximisation; the segmentation moves in under 0.1 % of words after that
_SMOOTHING = 0.5  # occurrences added to every stem and every pair of suffixes
_LONGEST_UNKNOWN_CHAIN = 14
_UNKNOWN_ROOT_COUNT = 5  # a word this frequent may be the root of unknown words

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A word as root and suffixes; root and morphemes joined give the word."""

    root: str
    lemma: str
    pos: str
    """`Noun`, `Verb`, ... of the lexicon; `Unknown` where only the suffix chain is known."""
    morphemes: tuple[str, ...]
    labels: tuple[str, ...]
    boundaries: tuple[tuple[int, float], ...] = ()
    """Positions (in letters) where some reading has a boundary, with the share of readings, by probability,
    that have one there."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Root and suffixes."""
        return (self.root, *self.morphemes)


def analyse(words: Mapping[str, int], processes: int = 0, remember: bool = True) -> dict[str, Analysis]:
    """The likeliest analysis of each word.

    Args:
        words: words in any case, with an apostrophe or without, and how often each occurs.
        processes: number of processes that read words; 0 means one per core.
        remember: whether the lexicon's readings are kept in the user's cache folder.

    Returns:
        An analysis of each word of Turkish letters; others are left out. Roots and suffixes are in lower
        case, without apostrophes.
    """
    plain: dict[str, int] = {}
    for word, count in words.items():
        body = stem_of(word)
        if is_turkish_word(body):
            plain[body] = plain.get(body, 0) + count
    found = read_words(plain, processes, remember)
    best = _Likelihood(plain, found).best()
    for word in plain:
        if word not in best:
            best[word] = _unknown(word, plain)
    return {word: _with_apostrophe(word, best) for word in words if stem_of(word) in best}


def stem_of(word: str) -> str:
    """The part of `word` before an apostrophe, in lower case."""
    lowered = casing.lower(word)
    for mark in APOSTROPHES:
        lowered = lowered.partition(mark)[0]
    return lowered


def _with_apostrophe(word: str, best: Mapping[str, Analysis]) -> Analysis:
    """The analysis of `word`; what follows an apostrophe is a chain of suffixes, and all before it the
    root."""
    root = stem_of(word)
    tail = casing.lower(word)[len(root) + 1 :]
    if not tail:
        return best[root]
    readings = chains(tail, root, {"noun", "plural", "poss", "poss3"}) or chains(tail)
    morphemes, labels = (readings[0].morphemes, readings[0].labels) if readings else ((tail,), ("?",))
    return Analysis(root, root, "Noun", morphemes, labels, _boundaries(len(root), morphemes))


def _boundaries(root: int, morphemes: Sequence[str], share: float = 1.0) -> tuple[tuple[int, float], ...]:
    places, at = [], root
    for morpheme in morphemes:
        places.append((at, share))
        at += len(morpheme)
    return tuple(places)


def _unknown(word: str, words: Mapping[str, int]) -> Analysis:
    """A word that the lexicon lacks, as the most frequent other word with a chain of suffixes after it."""
    best: tuple[float, Analysis] | None = None
    for length in range(3, len(word)):
        if len(word) - length > _LONGEST_UNKNOWN_CHAIN or words.get(word[:length], 0) < _UNKNOWN_ROOT_COUNT:
            continue
        if words[word[:length]] < words[word] or not vowels(word[:length]):
            continue
        for chain in chains(word[length:], word[:length], {"noun"})[:1]:
            score = np.log10(words[word[:length]]) - chain.cost
            if best is None or score > best[0]:
                best = (
                    score,
                    Analysis(
                        word[:length],
                        word[:length],
                        "Unknown",
                        chain.morphemes,
                        chain.labels,
                        _boundaries(length, chain.morphemes),
                    ),
                )
    return best[1] if best else Analysis(word, word, "Unknown", (), ())


class _Likelihood:
    """All readings of all words as arrays, with the two distributions that weigh them."""

    def __init__(self, words: Mapping[str, int], found: Mapping[str, Sequence[Reading]]) -> None:
        self.words = [word for word in words if found[word]]
        self.readings: list[Reading] = []
        stems: dict[tuple[str, bool], int] = {}
        endings: dict[tuple[bool, tuple[str, ...]], int] = {}
        stem_of_reading, ending_of_reading, starts = [], [], []
        for word in self.words:
            starts.append(len(self.readings))
            # Two readings that differ in the part of speech alone, or as name and noun, are one.
            for reading in {(r.lemma, r.root, r.morphemes, r.labels): r for r in found[word]}.values():
                verbal = reading.pos == "Verb"
                self.readings.append(reading)
                stem_of_reading.append(stems.setdefault((reading.lemma, verbal), len(stems)))
                ending_of_reading.append(endings.setdefault((verbal, reading.labels), len(endings)))
        self.starts = np.array(starts, dtype=np.int64)
        self.stem = np.array(stem_of_reading, dtype=np.int64)
        self.ending = np.array(ending_of_reading, dtype=np.int64)
        self.counts = np.array([words[word] for word in self.words], dtype=np.float64)
        self.owner = np.repeat(
            np.arange(len(self.words)), np.diff(np.append(self.starts, len(self.readings)))
        )
        self.stems, self.endings = len(stems), _Endings(list(endings))

    def best(self) -> dict[str, Analysis]:
        """The likeliest reading of each known word, with the shares of its boundaries."""
        if not self.readings:
            return {}
        share = self._share(np.zeros(self.stems), self.endings.first_guess())
        for _ in range(_ROUNDS):
            # Suffixes are learned from types, not from occurrences, or a few frequent words would outweigh
            # the rest.
            weight = share * self.counts[self.owner]
            stems = np.log(np.bincount(self.stem, weight, self.stems) + _SMOOTHING)
            endings: Floats = np.bincount(self.ending, share, len(self.endings)).astype(np.float64)
            share = self._share(stems, self.endings.learn(endings))
        result: dict[str, Analysis] = {}
        ends = np.append(self.starts[1:], len(self.readings))
        for word, start, end in zip(self.words, self.starts.tolist(), ends.tolist(), strict=True):
            row = share[start:end]
            reading = self.readings[start + int(row.argmax())]
            shares: dict[int, float] = {}
            for one, part in zip(self.readings[start:end], row.tolist(), strict=True):
                at = len(one.root)
                for morpheme in one.morphemes:
                    shares[at] = shares.get(at, 0.0) + part
                    at += len(morpheme)
            result[word] = Analysis(
                reading.root,
                reading.lemma,
                reading.pos,
                reading.morphemes,
                reading.labels,
                tuple(sorted(shares.items())),
            )
        return result

    def _share(self, stems: Floats, endings: Floats) -> Floats:
        """The probability of each reading among those of its word."""
        score = stems[self.stem] + endings[self.ending]
        score -= np.maximum.reduceat(score, self.starts)[self.owner]
        likely = np.exp(score)
        return np.asarray(likely / np.add.reduceat(likely, self.starts)[self.owner])


class _Endings:
    """Chains of labels, and the log-probability of each as a walk from label to label."""

    def __init__(self, rows: Sequence[tuple[bool, tuple[str, ...]]]) -> None:
        self.rows = rows
        steps: dict[tuple[str, str], int] = {}
        row_of_step, step = [], []
        for number, (verbal, labels) in enumerate(rows):
            walk = ["VERB" if verbal else "NOUN", *labels, "END"]
            for pair in pairwise(walk):
                row_of_step.append(number)
                step.append(steps.setdefault(pair, len(steps)))
        befores: dict[str, int] = {}
        self.before = np.array([befores.setdefault(one, len(befores)) for one, _ in steps], dtype=np.int64)
        self.row_of_step = np.array(row_of_step, dtype=np.int64)
        self.step = np.array(step, dtype=np.int64)
        self.steps = len(steps)

    def __len__(self) -> int:
        return len(self.rows)

    def first_guess(self) -> Floats:
        """Log-probabilities from the costs in the table of suffixes."""
        cost = costs()
        return np.array([-2.3 * sum(cost.get(label, 2.0) for label in labels) for _, labels in self.rows])

    def learn(self, weights: Floats) -> Floats:
        """Log-probability of each chain when chains occur `weights` times."""
        total: Any = np.bincount(self.step, weights[self.row_of_step], self.steps) + _SMOOTHING
        given = np.bincount(self.before, total)[self.before]
        walks = np.bincount(self.row_of_step, np.log(total / given)[self.step], len(self.rows))
        return walks.astype(np.float64)
