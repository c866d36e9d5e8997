"""The five categories of new tokens; docs/categories.md says the same with examples.

In this order, the first that fits:

- suffix: is inside or at the end of words, or after an apostrophe, and is a legal chain of Turkish suffixes;
- word: begins a word, and is one of the most frequent words of the text;
- complex: begins a word, and is a root followed by a chain of suffixes in harmony;
- root: begins a word, and is a root;
- pattern: any other combination of letters and signs.

A root is what the text itself attests: a word that occurs by itself, a verb stem whose infinitive occurs, the
form of either before a vowel (kitab-, ağac-), each of these with suffixes that make a new word (öğret|men),
and the beginning of a root without any of its suffixes (coğraf-, of coğrafya).
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import polars as pl

from ekle.turkish import casing
from ekle.turkish.alphabet import SOFTENED, is_turkish_word, vowels
from ekle.turkish.harmony import NOTHING_TO_JUDGE, Judgement, heard, judge, judge_letters, two_fold
from ekle.turkish.suffixes import Chain, chains, kinds

Category = Literal["word", "suffix", "root", "complex", "pattern"]

FREQUENT_WORDS = 500
"""The most frequent words (için, olan, gibi, çok): they are words, whatever else they are."""
FREQUENT_FORMS = 10_000
"""Inflected words up to this rank are words too."""
_LONGEST_CHAIN = 16
_SHORTEST_ROOT = 2
_LETTER = 0.5  # cost of a letter of a root, in powers of ten; long words are more likely inflected
_FORMS = 4  # usual forms of a word: with and without a space before it, capitalised or not
_APOSTROPHES = "'’"


@dataclass(frozen=True)
class Description:
    """What a token is: category, surface morphemes with a label each, and the judgement on vowel harmony."""

    category: Category
    morphemes: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    harmony: Judgement = NOTHING_TO_JUDGE
    besides: tuple[Category, ...] = ()
    """Other categories of a frequent word: root or complex."""


class Categories:
    """Finds the category of tokens by the words of a text.

    Args:
        counts: pre-token counts (`text`, `count`), most frequent first.
        min_count: a word this frequent attests a root.
    """

    def __init__(self, counts: pl.DataFrame, min_count: int) -> None:
        words = counts.filter(pl.col("text").str.contains(r"^ ?\p{L}{2,}$"))
        words = words.filter(pl.col("count") >= max(min_count // _FORMS, 1))
        totals: Counter[str] = Counter()
        for text, count in words.select("text", "count").iter_rows():
            totals[casing.lower(text.strip())] += count
        threshold = max(min_count // _FORMS, 1)
        self._words = {word: count for word, count in totals.items() if count >= threshold}
        self._beginnings = frozenset(word[:end] for word in self._words for end in range(1, len(word)))
        self._log_total = math.log10(max(totals.total(), 1))
        ranked = [word for word, _ in totals.most_common(FREQUENT_FORMS)]
        self._frequent, self._forms = frozenset(ranked[:FREQUENT_WORDS]), frozenset(ranked)
        self.describe = cache(self._describe)
        """Category, morphemes and harmony of the token with this text."""

    def _describe(self, text: str) -> Description:
        stem = text.removeprefix(" ")
        after_apostrophe = stem == text and stem[:1] in _APOSTROPHES and bool(stem[1:])
        body = casing.lower(stem[1:] if after_apostrophe else stem)
        if not is_turkish_word(body):
            return Description("pattern")
        inside = text == stem and (
            stem[:1] == casing.lower(stem[:1]) or (len(stem) > 1 and casing.is_upper(stem))
        )
        if after_apostrophe or inside:
            found = chains(body)
            if found:
                return _description("suffix", found[0])
            if after_apostrophe or not casing.is_upper(stem):
                return Description("pattern", harmony=judge_letters(body))
        reading = self._read(body)
        if reading is None:
            if body in self._beginnings:
                return Description("root")  # the beginning of one; its inside is free
            return Description("pattern", harmony=judge_letters(body))
        derived = all(kinds().get(label) == "derivational" for label in reading.labels[1:])
        category: Category = "root" if derived else "complex"
        if body in self._frequent or (not derived and body in self._forms):
            return _description("word", reading, (category,))
        return _description(category, reading)

    def _read(self, word: str) -> Chain | None:
        """The likeliest reading of `word` as a root, or as a root with a chain of suffixes."""
        found: list[Chain] = []
        for length in range(max(_SHORTEST_ROOT, len(word) - _LONGEST_CHAIN), len(word) + 1):
            root = word[:length]
            cost = self._root_cost(root)
            if cost is None:
                continue
            if length == len(word):
                found.append(_root(root, cost))
                continue
            for chain in chains(word[length:], heard(root))[:1]:
                labels = ("ROOT", *chain.labels)
                found.append(Chain((root, *chain.morphemes), labels, cost + chain.cost))
        return min(found, key=lambda reading: (reading.cost, len(reading.morphemes)), default=None)

    def _root_cost(self, root: str) -> float | None:
        """How unlikely a root is: its rarity in the text, in powers of ten, and its length."""
        hard = SOFTENED.get(root[-1:], "") if len(root) > _SHORTEST_ROOT else ""
        forms = (root, _infinitive(root), root[:-1] + hard if hard else "")
        count = max(self._words.get(form, 0) for form in forms)
        if not count:
            return None
        return self._log_total - math.log10(count) + _LETTER * (len(root) - _SHORTEST_ROOT)


def _description(category: Category, reading: Chain, besides: tuple[Category, ...] = ()) -> Description:
    morphemes, labels = list(reading.morphemes), list(reading.labels)
    return Description(category, morphemes, labels, judge(morphemes), besides)


def _root(body: str, cost: float) -> Chain:
    return Chain((body,), ("ROOT",), cost)


def _infinitive(stem: str) -> str:
    last = vowels(stem)[-1:]
    return stem + "m" + two_fold(last) + "k" if last else ""
