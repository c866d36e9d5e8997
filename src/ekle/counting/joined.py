"""Cutting text into the joined pre-tokens of the compact profile, many documents at once.

Rust's regular expressions, which do the counting, cannot look ahead. So the spaces that do not separate
are marked first, while what follows them is still there to be seen; text cut at the other spaces then
needs no look-ahead. `pre_token_pattern` is the plain form that both must agree with.
"""

from functools import cache

import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.joined import ENDS, MARKS, PAUSES, alternatives, joined_pre_tokenizer
from ekle.counting.stretches import BORDER, pieces_of_stretches
from ekle.turkish.joined import joined_words

_INSIDE, _OPENING, _CLOSING = "\x01", "\x02", "\x03"
ODD = r"\s\s|[^\S ]|\p{M}|[\x01-\x03\x{37E}]"
"""Documents with a match take the plain path: other white space, characters that NFC turns into others."""


@cache
def _marking() -> tuple[str, str, str, str]:
    inside, opening = map(alternatives, joined_words())
    return (
        rf"(\p{{L}}[{PAUSES}]?)\x00 ({inside})([^\p{{L}}]|$)",
        rf"(\p{{L}}[{ENDS}])\x00 ({opening})([^\p{{L}}]|$)",
        r"(\p{L})\x00 (\p{N})",
        rf"(\p{{Ll}})([{MARKS}])(\x00|$)",
    )


_WORD = rf"\p{{L}}+(?:[{PAUSES}]?\x01\p{{L}}+|[{ENDS}]\x02\p{{L}}+)*(?:\x03[{MARKS}]| $)?"
_CUT = (
    rf" ?{_WORD}|'(?i:[stmd]|re|ve|ll)|[^\r\n\p{{L}}\p{{N}}]?{_WORD}"
    r"|\p{N}| ?[^\s\x01-\x03\p{L}\p{N}]+|\s+"
)


def count_joined(texts: pl.Series) -> pl.DataFrame:
    """The joined pre-tokens of `texts` (none of them odd), as columns `text` and `count`, not summed up."""
    inside, opening, digit, closing = _marking()
    marked = texts.str.replace_all(" ", BORDER + " ", literal=True)
    for _ in range(2):  # of two joined words in a row, the first pass sees every other one
        marked = marked.str.replace_all(inside, f"${{1}}{_INSIDE}${{2}}${{3}}")
        marked = marked.str.replace_all(opening, f"${{1}}{_OPENING}${{2}}${{3}}")
    marked = marked.str.replace_all(digit, f"${{1}} {BORDER}${{2}}")
    marked = marked.str.replace_all(closing, f"${{1}}{_CLOSING}${{2}}${{3}}")
    pieces = pieces_of_stretches(marked, _CUT)
    counted = pieces.group_by("text").agg(pl.col("count").sum())
    return counted.with_columns(
        pl.col("text").str.replace_all(r"[\x01\x02]", " ").str.replace(_CLOSING, "", literal=True)
    ).collect(engine="streaming")


def pre_tokenizer(base: BaseTokenizer) -> dict[str, object]:
    """The `pre_tokenizer` of tokenizer.json for the compact profile over `base`."""
    return joined_pre_tokenizer(base, *joined_words())
