"""The compact profile: what its merges are learned from, and what they must spare.

Protected text comes as pre-tokens of the base, without what stands before and after each. The merges of
this profile also join a word to a mark, to the space before a digit, or to a joined word, so each protected
word is put into those surroundings too, as often as running text has them.
"""

import polars as pl

from ekle.bpe.joined import ENDS, PAUSES
from ekle.turkish.joined import joined_words

# Occurrences a word of running text; round figures for prose and code alike, on the high side.
_AFTER_A_WORD = {",": 0.05, ".": 0.05, ":": 0.02, ";": 0.005, "?": 0.005, "!": 0.005, " ": 0.01}
_FREQUENT = 1e-4  # a joined word that another language has at least this often is one of its words
_RARE = 1e-7  # rarer surroundings are left out: together under one in a hundred, but nine rows in ten
# Abbreviations of many languages, with the point that always follows them; word lists give none of it.
_ABBREVIATIONS = ("Dr", "Prof", "Mr", "Mrs", "St", "Jr", "Co", "Inc", "Ltd", "No", "no", "vs", "etc", "op")
_ABBREVIATED = 1e-3


def joined_foreign(table: pl.DataFrame) -> pl.DataFrame:
    """Protected pre-tokens in the surroundings where merges of this profile could fire on them.

    Args:
        table: columns `text`, `share` and `cost` of `Protected`: words of lists as they stand alone, files
            with their true surroundings.

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
    parts = [table.select("text", "share", "cost")]
    parts += [
        words.filter(pl.col("share") * often >= _RARE).select(
            pl.col("text") + after, pl.col("share", "cost") * often
        )
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
    return pl.concat(parts).group_by("text").agg(pl.col("share", "cost").sum()).sort("text")
