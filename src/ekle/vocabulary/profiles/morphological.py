"""The morphological profile: which words are split after their root, decided from the words of the text.

Every word of the text is analysed (`ekle.turkish.analysis`). It is split at the first position that is a
morpheme boundary whatever reading is right. It stays whole if it is one of the most frequent words (it will
be one token anyway) or a word that other languages use as much as Turkish. Roots and endings that recur
become a rule for words that the text does not have.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import NamedTuple

import polars as pl
import wordfreq

from ekle.turkish import casing
from ekle.turkish.alphabet import BACK, ROUNDED, VOICELESS, VOWELS, is_turkish_word, vowels
from ekle.turkish.analysis import Analysis, analyse
from ekle.turkish.lexicon import graph
from ekle.turkish.suffixes import kinds, suffixes
from ekle.vocabulary.profiles.split_rules import SplitRules

FOREIGN = ("en", "de", "fr", "es", "it", "nl", "pt")
"""Languages whose words are not split: those with a large list in wordfreq and mostly letters that Turkish
has too."""

SURE = 0.7
"""Share of the readings, by probability, that must have a boundary where a word is split."""

AS_FOREIGN = 0.1
"""A word is not split if its frequency in another language is at least this share of that in the text."""

_ANALYSED = 170_000  # most frequent words: in 86 MB those that occur three times; the rule splits others
_STEM_COUNT = 50  # a derived stem this frequent is worth a token, so words are split after it
_ROOT_COUNT, _ROOT_WORDS = 3, 2  # occurrences and different words that make a root one of the rule
_ENDING_ROOTS = 2  # different roots that make an ending one of the rule
_SHORTEST_ROOT, _SHORTEST_RULE_ROOT = 2, 3
_SHORTEST_WORD = 4  # letters; splitting shorter words costs more than it gains
_NAME_IN_CODE = 3  # letters of an ending that may as well be a name in program text
_NAMED_SHARE = 2e-6  # occurrences of such a name per word of code, on the high side


def word_counts(counts: pl.DataFrame) -> dict[str, int]:
    """Lower-case Turkish words of a table of pre-tokens, the most frequent first.

    Args:
        counts: columns `text` and `count`.
    """
    words = counts.filter(pl.col("text").str.contains(r"^[^\p{L}\p{N}'’]?\p{L}+$"))
    table = (
        words.with_columns(pl.col("text").str.extract(r"(\p{L}+)$"))
        .group_by("text")
        .agg(pl.col("count").sum())
    )
    totals: Counter[str] = Counter()
    for text, count in table.iter_rows():
        totals[text if is_turkish_word(text) else casing.lower(text)] += count
    ranked = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    return {word: count for word, count in ranked if is_turkish_word(word)}


def find_split_rules(
    counts: pl.DataFrame,
    words: Mapping[str, int],
    keep_whole: int,
    processes: int = 0,
    terms: Collection[str] = (),
) -> SplitRules:
    """The split rules for a text.

    Args:
        counts: its pre-tokens (`text` and `count`), not split yet.
        words: its words, as `word_counts` gives them, the most frequent first.
        keep_whole: this many of the most frequent words, as they are spelled, are not split.
        processes: number of processes that analyse words; 0 means one per core.
        terms: words that a user wants whole.
    """
    analyses = analyse(dict(islice(words.items(), _ANALYSED)), processes)
    stems: Counter[str] = Counter()
    for word, analysis in analyses.items():
        for position, _ in stem_ends(analysis):
            stems[word[:position]] += words[word]
    positions: dict[str, int] = {}
    for word, analysis in analyses.items():
        if (split := split_position(analysis, stems)) is not None:
            positions[word] = split
    rule = _recurring_rule(positions, analyses, words)
    foreign = _foreign_words(words)
    whole = {word for word in positions if word in foreign}
    whole |= {word for word in foreign if rule.position_by_root(word) is not None}
    whole |= {word for word in analyses if word not in positions and rule.position_by_root(word) is not None}
    whole |= {word for word in map(casing.lower, terms) if is_turkish_word(word)}
    listed = {
        word: position
        for word, position in positions.items()
        if word not in whole and rule.position_by_root(word) != position
    }
    rules = SplitRules(frozenset(whole), frozenset(), listed, rule.roots, rule.endings)
    return replace(rules, forms=frozenset(_frequent_forms(counts, keep_whole, rules)))


def _frequent_forms(counts: pl.DataFrame, keep_whole: int, rules: SplitRules) -> list[str]:
    """The most frequent words after a space, as spelled; only those that `rules` would split."""
    forms = counts.filter(pl.col("text").str.contains(r"^ \p{L}+$")).sort(
        ["count", "text"], descending=[True, False]
    )
    return [text[1:] for text in forms["text"].head(keep_whole).to_list() if len(rules.split(text)) > 1]


class StemEnd(NamedTuple):
    """The end of a root or of a derived stem, in letters, and whether that is a verb."""

    position: int
    verbal: bool


def stem_ends(analysis: Analysis) -> list[StemEnd]:
    """Where the root ends, and where each derived stem does."""
    at, verbal = len(analysis.root), analysis.pos == "Verb"
    ends = [StemEnd(at, verbal)]
    for morpheme, label in zip(analysis.morphemes, analysis.labels, strict=True):
        if kinds().get(label) != "derivational":
            break
        at += len(morpheme)
        verbal = label in _verbs()
        ends.append(StemEnd(at, verbal))
    return ends


def split_position(analysis: Analysis, stems: Mapping[str, int]) -> int | None:
    """Where a word is split, in letters before the split; None if it stays whole.

    It is split after the longest derived stem that is frequent in the text (`stems`: how often each occurs),
    else at the first boundary of nearly all readings. A word that is itself such a stem stays whole.
    """
    word = "".join(analysis.parts)
    if not analysis.morphemes or len(word) < _SHORTEST_WORD:
        return None
    sure = [
        position for position, share in analysis.boundaries if share >= SURE and position >= _SHORTEST_ROOT
    ]
    for position, _ in reversed(stem_ends(analysis)[1:]):
        if stems.get(word[:position], 0) >= _STEM_COUNT:
            if position == len(word):
                return None
            if position in sure:
                return position
    return sure[0] if sure else None


@cache
def _verbs() -> frozenset[str]:
    """Labels of suffixes that make verbs."""
    return frozenset(
        suffix.label for suffix in suffixes() if suffix.kind == "derivational" and suffix.target == "verb"
    )


def split_table(table: pl.DataFrame, rules: SplitRules) -> pl.DataFrame:
    """A table of pre-tokens after the rules have split them.

    Args:
        table: `text` and columns of numbers; the numbers of equal parts are added up.

    Returns:
        The same columns; `first`, the sum of the first number where the part precedes a split; and `whole`, a
        pre-token before the split that has the part. Highest number first.
    """
    values = [name for name in table.columns if name != "text"]
    rows, firsts, rests = [], [], []
    for row, text in enumerate(table["text"].to_list()):
        word_parts = rules.split(text)
        if len(word_parts) == 2:
            rows.append(row)
            firsts.append(word_parts[0])
            rests.append(word_parts[1])
    first = pl.col(values[0])
    split = table[rows].with_columns(pl.col("text").alias("whole"))
    unsplit = table.with_row_index("row").filter(~pl.col("row").is_in(rows)).drop("row")
    order = ["text", *values, "first", "whole"]
    parts = [
        unsplit.with_columns((first * 0).alias("first"), pl.col("text").alias("whole")).select(order),
        split.with_columns(pl.Series("text", firsts, dtype=pl.String), first.alias("first")).select(order),
        split.with_columns(pl.Series("text", rests, dtype=pl.String), (first * 0).alias("first")).select(
            order
        ),
    ]
    # For a part that is a pre-token itself, `whole` is that pre-token: unsplit rows come first.
    summed = (
        pl.concat(parts)
        .group_by("text", maintain_order=True)
        .agg(pl.col(*values, "first").sum(), pl.col("whole").first())
    )
    return summed.sort([values[0], "text"], descending=[True, False])


def names_in_code(endings: pl.DataFrame, price: float) -> pl.DataFrame:
    """Short endings in plain letters, which may be names in program text; no list of words has such names.

    Args:
        endings: parts of the text; those without a space that could be names are taken.
        price: cost of changing one of them, in tokens.

    Returns:
        Columns `text`, `share`, `cost` and `never`, as `ProtectedText.table` has them.
    """
    short = endings.filter(pl.col("text").str.contains(f"^[a-z]{{2,{_NAME_IN_CODE}}}$")).select("text")
    figures = {"share": _NAMED_SHARE, "cost": _NAMED_SHARE * price, "never": 0.0}
    return short.with_columns(pl.lit(value).alias(name) for name, value in figures.items())


def _recurring_rule(
    positions: Mapping[str, int], analyses: Mapping[str, Analysis], words: Mapping[str, int]
) -> SplitRules:
    """Roots (derived stems included) and endings that recur."""
    totals: Counter[str] = Counter()
    types: Counter[str] = Counter()
    kinds_of: dict[str, set[str]] = {}
    followed: dict[tuple[str, str], set[str]] = {}
    for word, position in positions.items():
        verbal = dict(stem_ends(analyses[word])).get(position)
        root = word[:position]
        if verbal is None or not vowels(root):
            continue
        name = ending_class(root, verbal)
        totals[root] += words[word]
        types[root] += 1
        kinds_of.setdefault(root, set()).add(name)
        followed.setdefault((name, word[position:]), set()).add(root)
    for root, verbal in _dictionary_roots(words, totals):
        totals[root] += words.get(root, 0)
        types[root] += _ROOT_WORDS
        kinds_of.setdefault(root, set()).add(ending_class(root, verbal))
    recurring = {
        root: tuple(sorted(names))
        for root, names in kinds_of.items()
        if len(root) >= _SHORTEST_RULE_ROOT and totals[root] >= _ROOT_COUNT and types[root] >= _ROOT_WORDS
    }
    endings = _recurring_endings(followed)
    kept = {root: tuple(name for name in names if name in endings) for root, names in recurring.items()}
    return SplitRules(roots={root: names for root, names in kept.items() if names}, endings=endings)


def _recurring_endings(followed: Mapping[tuple[str, str], set[str]]) -> dict[str, frozenset[str]]:
    """Classes of endings, with the endings that several roots have."""
    pooled: dict[tuple[str, str], set[str]] = {}
    for (name, ending), roots in followed.items():
        # Only d, c and g tell voiced consonants from voiceless ones.
        same = [name] if name[-1] == "v" or ending[0] in "dtcçgk" else [f"{name[:-1]}c", f"{name[:-1]}s"]
        for each in same:
            pooled.setdefault((each, ending), set()).update(roots)
    endings: dict[str, set[str]] = {}
    for (name, ending), roots in pooled.items():
        if len(roots) >= _ENDING_ROOTS:
            endings.setdefault(name, set()).add(ending)
    return {name: frozenset(ends) for name, ends in endings.items()}


def _dictionary_roots(words: Mapping[str, int], totals: Mapping[str, int]) -> Iterator[tuple[str, bool]]:
    """Nouns and verbs of the lexicon that the text has, spelled as before endings, and whether each is a
    verb."""
    for letters, entries in graph().stems.items():
        if not is_turkish_word(letters) or not vowels(letters):
            continue
        for entry in entries:
            if entry.pos == "Verb" and (letters in totals or words.get(entry.lemma, 0)):
                yield letters, True
            elif entry.pos in ("Noun", "Adj") and not entry.secondary and words.get(entry.lemma, 0):
                yield letters, False


def ending_class(root: str, verbal: bool) -> str:
    """The class of endings for a root: noun or verb, the harmony of its last vowel, its last sound."""
    vowel = vowels(root)[-1]
    harmony = ("o" if vowel in ROUNDED else "a") if vowel in BACK else ("u" if vowel in ROUNDED else "e")
    last = "v" if root[-1] in VOWELS else "s" if root[-1] in VOICELESS else "c"
    return f"{'v' if verbal else 'n'}{harmony}{last}"


def _foreign_words(words: Mapping[str, int]) -> frozenset[str]:
    """Words whose frequency in another language is at least `AS_FOREIGN` times that in the text."""
    total = max(sum(words.values()), 1)
    return frozenset(
        word
        for word, share in _foreign_frequencies().items()
        if share * total >= AS_FOREIGN * words.get(word, 0)
    )


@cache
def _foreign_frequencies() -> dict[str, float]:
    """Words of other languages in Turkish letters, with their highest frequency in one of them."""
    highest: dict[str, float] = {}
    for language in FOREIGN:
        for word, share in wordfreq.get_frequency_dict(language, wordlist="best").items():
            # The rules read a capital I as ı, and other languages mean i: Iran, Indian.
            for spelling in (word, f"ı{word[1:]}") if word[0] == "i" else (word,):
                if share > highest.get(spelling, 0.0) and is_turkish_word(spelling):
                    highest[spelling] = share
    return highest
