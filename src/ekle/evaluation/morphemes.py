"""How a tokenizer's cuts agree with morphemes that people have marked.

Every figure is taken on words with a space before them, as in running text, and a cut is a place between two
tokens of the word, in letters. A word that is one token has no cut, so it is never wrong; it has no boundary
found either, which is what recall shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from ekle.turkish.gold import RootedWord, SegmentedWord


@dataclass(frozen=True)
class Agreement:
    """Figures of a tokenizer over segmented words; shares from 0 to 1."""

    words: int
    without_wrong_cut: float
    """Share of the words in which every cut is a morpheme boundary of some reading."""
    precision: float
    """Share of the cuts that are boundaries of the reading that agrees best with the cuts of the word."""
    recall: float
    """Share of the boundaries of that reading that are cuts."""

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def root_uncut(tokenizer: Tokenizer, words: Sequence[RootedWord]) -> float:
    """Share of inflected words whose root no token ends inside of; a longer first token leaves it uncut.

    Each occurrence counts, so frequent words weigh as much as they do in the treebank.
    """
    cuts = word_cuts(tokenizer, [word.text for word in words])
    whole = sum(all(place >= word.root for place in places) for word, places in zip(words, cuts, strict=True))
    return whole / len(words)


def agreement(tokenizer: Tokenizer, words: Sequence[SegmentedWord]) -> Agreement:
    """Cuts against boundaries, each word once."""
    clean = found = cut = wanted = 0
    for word, places in zip(words, word_cuts(tokenizer, [word.text for word in words]), strict=True):
        made = set(places)
        clean += made <= word.allowed
        best = max(
            word.readings, key=lambda reading: (len(made & reading) - len(made - reading), -len(reading))
        )
        found += len(made & best)
        cut += len(made)
        wanted += len(best)
    return Agreement(
        len(words), clean / len(words), found / cut if cut else 1.0, found / wanted if wanted else 1.0
    )


def word_cuts(tokenizer: Tokenizer, words: Sequence[str]) -> list[tuple[float, ...]]:
    """Where each word is cut, as letters before the cut; a cut inside a letter's bytes lies halfway.

    A token that holds nothing but the space before the word makes no cut.
    """
    results: list[tuple[float, ...]] = []
    for word, encoding in zip(
        words, tokenizer.encode_batch([f" {word}" for word in words], add_special_tokens=False), strict=True
    ):
        ends = _letter_ends(word)
        at, places = -1, []  # -1: the space
        for token in encoding.tokens[:-1]:  # byte-level: one character a byte
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
