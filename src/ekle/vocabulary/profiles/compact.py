"""The compact profile: what its merges are learned from, and what they must spare.

Protected text comes as pre-tokens of the base, without what stands before and after each. The merges of
this profile also join a word to a mark, to the space before a digit, or to a joined word, so each protected
word is put into those surroundings too, as often as running text has them. With every word in every
surrounding the table would have a hundred million rows; with the edges of words it has a million.
"""

import numpy as np
import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.byte_alphabet import token_text
from ekle.bpe.encode import encode_with_base
from ekle.bpe.pre_tokenizers import ENDS, PAUSES
from ekle.turkish.tables import joined_words

# Occurrences a word of running text; round figures for prose and code alike, on the high side.
_AFTER_A_WORD = {",": 0.05, ".": 0.05, ":": 0.02, ";": 0.005, "?": 0.005, "!": 0.005, " ": 0.01}
# Occurrences a word without a space before it: such words stand in code, mostly.
_BEFORE_A_WORD = {".": 0.3, "(": 0.3, "_": 0.1, "/": 0.1, "-": 0.1}
_FREQUENT = 1e-4  # a joined word that another language has at least this often is one of its words
# Abbreviations of many languages, with the point that always follows them; word lists give none of it.
_ABBREVIATIONS = ("Dr", "Prof", "Mr", "Mrs", "St", "Jr", "Co", "Inc", "Ltd", "No", "no", "vs", "etc", "op")
_ABBREVIATED = 1e-3


def add_word_contexts(table: pl.DataFrame, base: BaseTokenizer) -> pl.DataFrame:
    """Protected pre-tokens, and the surroundings of words where merges of this profile could fire on them.

    A merge that joins a word to what follows joins the last piece of the word, if it is the first to change
    the word. So the words that end in one piece of the base share the rows of their surroundings.

    Args:
        table: columns `text`, `share`, `cost` and `never` of `ProtectedText`: words of lists as they stand
            alone, files with their true surroundings.
        base: the tokenizer whose pieces words end in.

    Returns:
        The same columns; the rows of `table` are among them.
    """
    words = table.filter(pl.col("text").str.contains(r"^ ?\p{L}+$"))
    shares = dict(words.select("text", "share").iter_rows())
    inside, opening = joined_words()
    surroundings = dict(_AFTER_A_WORD)
    for group, marks in ((inside, ("", *PAUSES)), (opening, tuple(ENDS))):
        for word in group:
            if (share := shares.get(f" {word}", 0.0)) > _FREQUENT:
                surroundings |= {f"{mark} {word}": share * _AFTER_A_WORD.get(mark, 1.0) for mark in marks}
    ends, starts = _at_the_edge(words, base)
    parts = [table.select("text", "share", "cost", "never")]
    parts += [
        starts.select((before + pl.col("text")).alias("text"), pl.col("share", "cost") * often)
        for before, often in _BEFORE_A_WORD.items()
    ]
    parts += [
        ends.select(pl.col("text") + after, pl.col("share", "cost") * often)
        for after, often in surroundings.items()
    ]
    if len(words):
        points = [f"{space}{word}." for word in _ABBREVIATIONS for space in ("", " ")]
        price = float((words["cost"] / words["share"]).max())  # type: ignore[arg-type]
        parts.append(
            pl.DataFrame({"text": points}).with_columns(
                pl.lit(_ABBREVIATED).alias("share"), pl.lit(_ABBREVIATED * price).alias("cost")
            )
        )
    # Surroundings have no `never`: those that stand in a file are in the table already.
    every = pl.concat(parts, how="diagonal")
    return every.group_by("text").agg(pl.col("share", "cost", "never").sum()).sort("text")


def _at_the_edge(words: pl.DataFrame, base: BaseTokenizer) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The last piece of each word, and the first of each without a space, with sums of `share` and `cost`.

    Pieces that are half a character are left out.
    """
    encoded = encode_with_base(base, words["text"].to_list())
    after = np.cumsum(encoded.lengths)
    edges = words.with_columns(
        pl.Series("last", encoded.ids[after - 1]), pl.Series("first", encoded.ids[after - encoded.lengths])
    )
    bare = edges.filter(~pl.col("text").str.starts_with(" "))
    return _summed(edges, "last", base), _summed(bare, "first", base)


def _summed(edges: pl.DataFrame, which: str, base: BaseTokenizer) -> pl.DataFrame:
    sums = edges.group_by(which).agg(pl.col("share", "cost").sum())
    tokens = (base.token_bytes[number] for number in sums[which])
    texts = [None if token is None else token_text(token) for token in tokens]
    return sums.select(pl.Series("text", texts, dtype=pl.String), "share", "cost").drop_nulls()
