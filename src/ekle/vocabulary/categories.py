"""The five categories of new tokens; docs/categories.md says the same with examples.

In this order, the first that fits:

- pattern: holds something other than letters after an optional leading space, or is a stretch from inside
  words that is no chain of suffixes;
- suffix: stands inside or at the end of words and is a legal chain of Turkish suffixes;
- word: one of the most frequent whole words of the text;
- complex: begins a word, and is a word of the text followed by a chain of suffixes;
- root: any other token that begins a word.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from ekle.turkish import casing
from ekle.turkish.harmony import Verdict, check
from ekle.turkish.suffixes import chain

Category = Literal["word", "suffix", "root", "complex", "pattern"]

FREQUENT_WORDS = 10_000
_LONGEST_CHAIN = 16
_SHORTEST_ROOT = 2


@dataclass(frozen=True)
class Description:
    """What a token is: its category, its surface morphemes, and the verdict on vowel harmony."""

    category: Category
    morphemes: list[str]
    harmony: Verdict


class Categories:
    """Sorts tokens by what the words of a text say about them.

    Args:
        counts: pre-token counts (`text`, `count`), most frequent first.
        min_count: a word this frequent may be the root of a complex token.
    """

    def __init__(self, counts: pl.DataFrame, min_count: int) -> None:
        words = counts.filter(pl.col("text").str.contains(r"^ ?\p{L}{2,}$") & (pl.col("count") >= min_count))
        lowered = [casing.lower(text.strip()) for text in words["text"].to_list()]
        self._words = frozenset(lowered)
        self._frequent = frozenset(list(dict.fromkeys(lowered))[:FREQUENT_WORDS])

    def describe(self, text: str) -> Description:
        """Category, morphemes and harmony of the token that stands for `text`."""
        body = casing.lower(text.removeprefix(" "))
        begins_word = text.startswith(" ") or text[:1] != casing.lower(text[:1])
        if not body.isalpha():
            return Description("pattern", [], "none")
        if not begins_word:
            parts = chain(body)
            if parts is None:
                return Description("pattern", [], "none")
            return Description("suffix", list(parts), check(parts))
        split = self._split(body)
        morphemes = split or [body]
        category: Category = "word" if body in self._frequent else "complex" if split else "root"
        return Description(category, morphemes, check(morphemes))

    def _split(self, word: str) -> list[str] | None:
        """`word` as a known word and a chain of suffixes; the longest root of at least two letters wins."""
        for length in range(len(word) - 1, max(_SHORTEST_ROOT, len(word) - _LONGEST_CHAIN) - 1, -1):
            root = word[:length]
            if root in self._words:
                parts = chain(word[length:])
                if parts is not None and check([root, *parts]) != "violation":
                    return [*(self._split(root) or [root] if length > 5 else [root]), *parts]
        return None
