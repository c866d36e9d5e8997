"""How token boundaries agree with morpheme boundaries: those that people have marked, or those of a lexicon.

Words have a space before them, as in running text. A token boundary is a place between two tokens of a word,
counted in letters. A word that is one token has no token boundary, so none is wrong. Recall shows that its
morpheme boundaries are not found. Where a word has several readings, the one that agrees best with the
tokenizer counts, for every tokenizer alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ekle.turkish.gold import RootedWord, SegmentedWord

Counts = NDArray[np.int64]


class BoundaryCounts(NamedTuple):
    """Counts of token and morpheme boundaries; each array has one entry per word, or per group of words."""

    words: Counts
    inflected: Counts
    """Words with a boundary in some reading."""
    root_intact: Counts
    """Of these, words inside whose root no token ends; a longer first token leaves the root intact."""
    no_wrong_boundary: Counts
    """Words in which every token boundary is a morpheme boundary of some reading."""
    predicted: Counts
    """Token boundaries."""
    expected: Counts
    """Morpheme boundaries of the reading that agrees best: most found less wrong ones, then fewest."""
    correct: Counts
    """Morpheme boundaries of that reading that are token boundaries."""
    tokens: Counts
    """Tokens with a letter of the word; each is one of the next three kinds, or none of them."""
    whole: Counts
    """Tokens that are the whole word."""
    morphemes: Counts
    """Tokens, not whole words, from one boundary to the next, the ends of the word counted as boundaries."""
    chains: Counts
    """Tokens, not whole words, from one boundary to another with boundaries between."""

    def grouped(self, groups: Sequence[Sequence[int]]) -> "BoundaryCounts":
        """Sums over groups of words, given by their places; a word may be in several, and more than once."""
        owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        places = np.array([place for group in groups for place in group], dtype=np.int64)
        return BoundaryCounts(
            *(np.bincount(owner, column[places], len(groups)).round().astype(np.int64) for column in self)
        )


@dataclass(frozen=True)
class BoundaryScores:
    """Figures of a tokenizer over segmented words; shares from 0 to 1."""

    words: int
    no_wrong_boundary: float
    """Share of the words in which every token boundary is a morpheme boundary of some reading."""
    precision: float
    """Share of the token boundaries that are morpheme boundaries of the reading that agrees best."""
    recall: float
    """Share of the morpheme boundaries of that reading that are token boundaries."""

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def boundary_scores(tokenizer: Tokenizer, words: Sequence[SegmentedWord]) -> BoundaryScores:
    """Token boundaries against morpheme boundaries, each word once."""
    sums = {name: int(column.sum()) for name, column in count_boundaries(tokenizer, words)._asdict().items()}
    return BoundaryScores(
        len(words),
        sums["no_wrong_boundary"] / len(words),
        sums["correct"] / sums["predicted"] if sums["predicted"] else 1.0,
        sums["correct"] / sums["expected"] if sums["expected"] else 1.0,
    )


def count_boundaries(tokenizer: Tokenizer, words: Sequence[SegmentedWord]) -> BoundaryCounts:
    """Token boundaries against morpheme boundaries, an entry per word."""
    boundaries = token_boundaries(tokenizer, [word.text for word in words])
    rows = [_row(word, places) for word, places in zip(words, boundaries, strict=True)]
    columns = np.array(rows, dtype=np.int64).reshape(len(words), len(BoundaryCounts._fields)).T
    return BoundaryCounts(*columns)


def _row(word: SegmentedWord, places: Sequence[float]) -> tuple[int, ...]:
    made, length = set(places), len(word.text)
    allowed = word.allowed
    root = min(min(reading, default=length) for reading in word.readings)
    best = max(word.readings, key=lambda reading: (len(made & reading) - len(made - reading), -len(reading)))
    return (
        1,
        bool(allowed),
        bool(allowed) and all(place >= root for place in places),
        made <= allowed,
        len(made),
        len(best),
        len(made & best),
        *max((_kinds(places, reading, length) for reading in word.readings), key=_alike),
    )


def _kinds(places: Sequence[float], reading: frozenset[int], length: int) -> tuple[int, int, int, int]:
    """Tokens, and how many of them are the whole word, a morpheme, a chain, by one reading of the word."""
    if not places:
        return (1, 1, 0, 0)
    edges, morphemes, chains = [0.0, *places, float(length)], 0, 0
    borders = {0, length, *reading}
    for start, end in pairwise(edges):
        if start in borders and end in borders:
            inside = any(start < place < end for place in reading)
            morphemes, chains = morphemes + (not inside), chains + inside
    return (len(edges) - 1, 0, morphemes, chains)


def _alike(kinds: tuple[int, int, int, int]) -> int:
    """How many of the tokens are of some kind."""
    return sum(kinds[1:])


def intact_root_share(tokenizer: Tokenizer, words: Sequence[RootedWord]) -> float:
    """Share of inflected words inside whose root no token ends; see `roots_intact`."""
    return float(roots_intact(tokenizer, words).mean())


def roots_intact(tokenizer: Tokenizer, words: Sequence[RootedWord]) -> NDArray[np.bool_]:
    """For each inflected word, whether no token ends inside its root.

    Each occurrence counts, so frequent words weigh as much as in the treebank.
    """
    boundaries = token_boundaries(tokenizer, [word.text for word in words])
    return np.array(
        [all(place >= word.root for place in places) for word, places in zip(words, boundaries, strict=True)],
        dtype=bool,
    )


def token_boundaries(tokenizer: Tokenizer, words: Sequence[str]) -> list[tuple[float, ...]]:
    """The token boundaries of each word, as letters before each; one inside a letter's bytes is halfway.

    A token that holds only the space before the word makes no boundary.
    """
    results: list[tuple[float, ...]] = []
    for word, encoding in zip(
        words, tokenizer.encode_batch([f" {word}" for word in words], add_special_tokens=False), strict=True
    ):
        ends = _letter_ends(word)
        at, places = -1, []  # -1: the space
        for token in encoding.tokens[:-1]:  # byte-level: one character per byte
            at += len(token)
            if at > 0:
                places.append(ends[at])
        results.append(tuple(places))
    return results


def _letter_ends(word: str) -> list[float]:
    """For each number of bytes, how many letters of `word` they are."""
    ends: list[float] = [0.0]
    for number, letter in enumerate(word):
        size = len(letter.encode())
        ends += [number + 0.5] * (size - 1) + [number + 1.0]
    return ends
