"""Text of other languages on which the new merges should not fire."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.counting import count_documents
from ekle.counting.wordlist import count_word_list
from ekle.progress import Report
from ekle.text.read import documents

BUILT_IN = ("en", "de", "fr")
"""Languages that are protected by their word lists when the recipe says so."""

_LIST_WORDS = 1_000_000


@dataclass(frozen=True)
class Protected:
    """Pre-tokens of the protected text with `share`: occurrences a word of that text, summed over texts."""

    table: pl.DataFrame
    names: list[str]


def protected_text(files: Sequence[str], built_in: bool, base: BaseTokenizer, report: Report) -> Protected:
    """Count the user's files and, if wanted, the built-in word lists.

    Each text weighs the same, however long it is: a merge that changes one word in a thousand of a
    short file is as bad as one that does so in a long one.

    Raises:
        TextError: a file is absent, not UTF-8 or empty.
    """
    parts: list[pl.DataFrame] = []
    names: list[str] = []
    for file in files:
        counts = count_documents((document.text for document in documents([file])), base, report)
        if counts.words:
            parts.append(counts.table.select("text", (pl.col("count") / counts.words).alias("share")))
            names.append(file)
    for language in BUILT_IN if built_in else ():
        counts = count_word_list(language, _LIST_WORDS, base, size="small")
        parts.append(counts.table.select("text", (pl.col("count") / counts.words).alias("share")))
        names.append(f"wordfreq:{language}")
    empty = pl.DataFrame(schema={"text": pl.String, "share": pl.Float64})
    return Protected(
        pl.concat([empty, *parts]).group_by("text").agg(pl.col("share").sum()).sort("text"), names
    )
