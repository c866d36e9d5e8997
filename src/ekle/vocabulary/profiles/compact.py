"""The compact profile: protected words with the contexts in which its merges could change them.

Protected text is given as pre-tokens of the base, without what precedes and follows each. The merges of this
profile also join a word to a mark, to the space before a digit, or to a joined word. So each protected word
is put into those contexts too, as often as running text has them. With every word in every context the table
would have a hundred million rows; with the first and last tokens of words it has a million.
"""

import numpy as np
import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.byte_alphabet import token_text
from ekle.bpe.encode import encode_with_base
from ekle.bpe.pre_tokenizers import ENDS, PAUSES
from ekle.turkish.tables import joined_words

# Occurrences per word of running text: round figures for prose and code alike, on the high side.
_AFTER_WORD = {",": 0.05, ".": 0.05, ":": 0.02, ";": 0.005, "?": 0.005, "!": 0.005, " ": 0.01}
# Occurrences per word without a space before it; such words are mostly in code.
_BEFORE_WORD = {".": 0.3, "(": 0.3, "_": 0.1, "/": 0.1, "-": 0.1}
_FREQUENT = 1e-4  # a joined word that another language has at least this often is one of its words
# Abbreviations of many languages, which word lists give without the point that always follows.
_ABBREVIATIONS = ("Dr", "Prof", "Mr", "Mrs", "St", "Jr", "Co", "Inc", "Ltd", "No", "no", "vs", "etc", "op")
_ABBREVIATION_RATE = 1e-3


def add_word_contexts(table: pl.DataFrame, base: BaseTokenizer) -> pl.DataFrame:
    """Protected pre-tokens, and words in the contexts where merges of this profile could change them.

    If a merge that joins a word to what follows is the first to change the word, it joins the last base token
    of the word. So words with the same last base token share the rows of their contexts.

    Args:
        table: columns `text`, `share`, `cost` and `never` of `ProtectedText`: words of lists by
            themselves, files with their true contexts.
        base: the tokenizer whose tokens words begin and end with.

    Returns:
        The same columns; the rows of `table` are among them.
    """
    words = table.filter(pl.col("text").str.contains(r"^ ?\p{L}+$"))
    shares = dict(words.select("text", "share").iter_rows())
    inside, sentence_start = joined_words()
    contexts = dict(_AFTER_WORD)
    for group, marks in ((inside, ("", *PAUSES)), (sentence_start, tuple(ENDS))):
        for word in group:
            if (share := shares.get(f" {word}", 0.0)) > _FREQUENT:
                contexts |= {f"{mark} {word}": share * _AFTER_WORD.get(mark, 1.0) for mark in marks}
    ends, starts = _edge_tokens(words, base)
    parts = [table.select("text", "share", "cost", "never")]
    parts += [
        starts.select((before + pl.col("text")).alias("text"), pl.col("share", "cost") * rate)
        for before, rate in _BEFORE_WORD.items()
    ]
    parts += [
        ends.select(pl.col("text") + after, pl.col("share", "cost") * rate)
        for after, rate in contexts.items()
    ]
    if len(words):
        points = [f"{space}{word}." for word in _ABBREVIATIONS for space in ("", " ")]
        price = float((words["cost"] / words["share"]).max())  # type: ignore[arg-type]
        parts.append(
            pl.DataFrame({"text": points}).with_columns(
                pl.lit(_ABBREVIATION_RATE).alias("share"), pl.lit(_ABBREVIATION_RATE * price).alias("cost")
            )
        )
    # Contexts have no `never`: those of files are in the table already.
    every = pl.concat(parts, how="diagonal")
    return every.group_by("text").agg(pl.col("share", "cost", "never").sum()).sort("text")


def _edge_tokens(words: pl.DataFrame, base: BaseTokenizer) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The last token of each word, and the first of each without a space, with sums of `share` and `cost`.

    Tokens that are half a character are left out.
    """
    encoded = encode_with_base(base, words["text"].to_list())
    stops = np.cumsum(encoded.lengths)
    edges = words.with_columns(
        pl.Series("last", encoded.ids[stops - 1]), pl.Series("first", encoded.ids[stops - encoded.lengths])
    )
    bare = edges.filter(~pl.col("text").str.starts_with(" "))
    return _summed(edges, "last", base), _summed(bare, "first", base)


def _summed(edges: pl.DataFrame, which: str, base: BaseTokenizer) -> pl.DataFrame:
    sums = edges.group_by(which).agg(pl.col("share", "cost").sum())
    tokens = (base.token_bytes[number] for number in sums[which])
    texts = [None if token is None else token_text(token) for token in tokens]
    return sums.select(pl.Series("text", texts, dtype=pl.String), "share", "cost").drop_nulls()
