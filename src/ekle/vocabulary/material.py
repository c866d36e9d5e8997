"""What is learned from: the pre-tokens that can give Turkish tokens, with the base's cut of each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.by_rank import cut_by_base
from ekle.bpe.pieces import Pieces
from ekle.vocabulary.profile import Cut

_CLEAN = r"^[\p{L}\p{N}\p{P}\p{S}\p{Z}\t\n\r]*$"
"""No control or private characters, no marks that stand alone after NFC (i + U+0307), no zero-width or
direction marks: a token with one of them would be an error of the text, learned."""
_LATIN = r"^[\p{Latin}\p{N}\p{P}\p{Z}\t\n\r$+<=>^`|~¢-©«-´¶-¿×÷₠-₿™−]*$"
"""Latin letters, numbers, punctuation and the signs that stand in Turkish text; no emoji, no other script."""


@dataclass(frozen=True)
class Material:
    """Pre-tokens of the text to learn and of the protected text; the arrays have shape (pre-tokens,).

    `table` has the column `text`. `weights` says how often each occurs in the text to learn, `foreign` how
    often in protected text of equal length, `cost` how many tokens a merge must save to change it, and
    `never` whether it must stay whatever that saves.
    Merges are chosen by `worth`, which is `weights` itself unless the profile says otherwise.
    """

    table: pl.DataFrame
    pieces: Pieces
    weights: npt.NDArray[np.int64]
    worth: npt.NDArray[np.int64]
    foreign: npt.NDArray[np.float64]
    cost: npt.NDArray[np.float64]
    never: npt.NDArray[np.bool_]
    left_out: int
    """Occurrences of pre-tokens that nothing is learned from."""


def material_of(cut_by_profile: Cut, words: int, base: BaseTokenizer, any_language: bool) -> Material:
    """Both texts in one table, foreign occurrences on the scale of the text: as if each protected text
    were as long.

    Args:
        cut_by_profile: the counts of both texts.
        words: words of the text to learn from.
        base: the tokenizer whose pieces are merged.
        any_language: also learn from other scripts and from emoji; control characters stay out.
    """
    clean = pl.col("text").str.contains(_CLEAN)
    fit = clean if any_language else clean & pl.col("text").str.contains(_LATIN)
    counts = cut_by_profile.counts.filter(fit)
    left_out = int(cut_by_profile.counts["count"].sum()) - int(counts["count"].sum())
    foreign_alone = cut_by_profile.foreign.join(counts, on="text", how="anti")
    both = counts.join(cut_by_profile.foreign, on="text", how="left", maintain_order="left")
    table = pl.concat([both, foreign_alone], how="diagonal").with_columns(
        pl.col("count").fill_null(0),
        pl.col("share", "cost").fill_null(0.0) * max(words, 1),
        pl.col("never").fill_null(0.0) > 0,
    )
    pieces = cut_by_base(base, table["text"].to_list())
    weights, foreign, cost, never = (
        table[name].to_numpy().copy() for name in ("count", "share", "cost", "never")
    )
    worth = table["worth"].fill_null(0).to_numpy().copy() if "worth" in table.columns else weights
    return Material(table, pieces, weights, worth, foreign, cost, never, left_out)
