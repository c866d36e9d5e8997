"""The compact profile: what its merges are learned from, and what they must spare.

Protected text comes as pre-tokens of the base, without what stands before and after each. The merges of
this profile also join a word to a mark, to the space before a digit, or to a joined word, so each protected
word is put into those surroundings too, as often as running text has them.
"""

from collections.abc import Sequence

import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.joined import ENDS, PAUSES
from ekle.counting import Counts, count_documents
from ekle.errors import InputError
from ekle.progress import silent
from ekle.text.read import documents
from ekle.turkish.joined import joined_words

# Occurrences a word of running text; round figures for prose and code alike, on the high side.
_AFTER_A_WORD = {",": 0.05, ".": 0.05, ":": 0.02, ";": 0.005, "?": 0.005, "!": 0.005, " ": 0.01}
_FREQUENT = 1e-4  # a joined word that another language has at least this often is one of its words
_RARE = 1e-7  # rarer surroundings are left out: together under one in a hundred, but nine rows in ten
# Abbreviations of many languages, with the point that always follows them; word lists give none of it.
_ABBREVIATIONS = ("Dr", "Prof", "Mr", "Mrs", "St", "Jr", "Co", "Inc", "Ltd", "No", "no", "vs", "etc", "op")
_ABBREVIATED = 1e-3


def joined_counts(counts: Counts) -> pl.DataFrame:
    """The table of `counts`, which must hold joined pre-tokens.

    Raises:
        InputError: they are pre-tokens of the base.
    """
    if not counts.joined:
        raise InputError(
            "the compact profile needs counts that were made for it; "
            "count the text again with --profile compact"
        )
    return counts.table


def joined_foreign(table: pl.DataFrame, files: Sequence[str], base: BaseTokenizer) -> pl.DataFrame:
    """Protected pre-tokens in the surroundings where merges of this profile could fire on them.

    Args:
        table: columns `text` and `share`, pre-tokens as `base` cuts them.
        files: protected text itself, where there is any; its true surroundings count as well, so a merge
            that spares all of them leaves the files as they are.
        base: the tokenizer whose pre-tokenizer cuts.

    Returns:
        Columns `text` and `share`; the pre-tokens of `table` are among them.
    """
    words = table.filter(pl.col("text").str.contains(r"^ ?\p{L}+$"))
    shares = dict(words.iter_rows())
    inside, opening = joined_words()
    surroundings = dict(_AFTER_A_WORD)
    for group, marks in ((inside, ("", *PAUSES)), (opening, tuple(ENDS))):
        for word in group:
            if (share := shares.get(f" {word}", 0.0)) > _FREQUENT:
                surroundings |= {f"{mark} {word}": share * _AFTER_A_WORD.get(mark, 1.0) for mark in marks}
    parts = [table.select("text", "share")]
    parts += [
        words.filter(pl.col("share") * often >= _RARE).select(pl.col("text") + after, pl.col("share") * often)
        for after, often in surroundings.items()
    ]
    if len(words):
        points = [f"{space}{word}." for word in _ABBREVIATIONS for space in ("", " ")]
        parts.append(pl.DataFrame({"text": points, "share": [_ABBREVIATED] * len(points)}))
    for file in files:
        counts = count_documents(
            (document.text for document in documents([file])), base, silent(), joined=True
        )
        longer = counts.table.join(table, on="text", how="anti")
        parts.append(longer.select("text", (pl.col("count") / max(counts.words, 1)).alias("share")))
    return pl.concat(parts).group_by("text").agg(pl.col("share").sum()).sort("text")
