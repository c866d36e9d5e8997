"""Cutting equal stretches of text once: what both ways of counting in Rust do."""

import polars as pl

BORDER = "\x00"
"""Stands between stretches; documents hold none, because the reader removes it."""


def pieces_of_stretches(marked: pl.Series, pattern: str) -> pl.LazyFrame:
    """The pieces of a text, as columns `text` and `count`; a piece stands once for each stretch that has it.

    Args:
        marked: texts with `BORDER` where no piece goes on.
        pattern: what a piece is, for `extract_all`; it sees a stretch by itself, in NFC.
    """
    stretches = (
        marked.to_frame("text")
        .lazy()
        .select(pl.col("text").str.split(BORDER).explode())
        .group_by("text")
        .agg(pl.len().cast(pl.Int64).alias("count"))
    )
    pieces = stretches.select(pl.col("text").str.normalize("NFC").str.extract_all(pattern), "count")
    return pieces.explode("text").drop_nulls()
