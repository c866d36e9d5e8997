"""Counting pre-tokens in a stream of documents.

Cutting every occurrence of every word would be waste. Qwen's pre-tokenizer never joins what stands
before a single space with what follows it, so text is first cut at single spaces, equal stretches are
counted (in Rust, over all cores), and only the different ones are cut further. Documents with other
white space take the pre-tokenizer's own path.

Memory holds a batch for each core and the table of counts, which grows with the text, ever more slowly. Past
`MAX_ROWS` the rarest rows are forgotten, as in lossy counting (Manku and Motwani 2002); how many
occurrences that took away is kept with the counts. A pre-token that rare can be no token of its own.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import assert_never

import polars as pl
from tokenizers import Regex, pre_tokenizers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.pre_tokenizers import (
    ENDS,
    MARKS,
    PAUSES,
    alternatives,
    apostrophe_pre_tokenizer,
    has_qwen_pre_tokenizer,
    joined_pre_tokenizer,
    without_contractions,
)
from ekle.bpe.qwen import WORD_PATTERN
from ekle.counting.counts import Counts, add_equal, sum_up
from ekle.progress import ProgressReporter
from ekle.recipe.vocabulary import PreTokenizationKind
from ekle.turkish.tables import joined_words

MAX_ROWS = 50_000_000
"""Different pre-tokens that are kept; about 4 GB of memory."""

_BATCH_BYTES = 16 << 20
_TAIL = r"|\s+(?!\S)|\s+"
_PARTS = 8  # tables of batches that wait to be added up


def count_documents(
    texts: Iterable[str],
    base: BaseTokenizer,
    reporter: ProgressReporter,
    total_bytes: int | None = None,
    *,
    pre_tokenization: PreTokenizationKind = "base",
    most: int = MAX_ROWS,
) -> Counts:
    """Count the pre-tokens of `texts` as `base` cuts them, after NFC.

    Args:
        texts: documents without NUL characters.
        base: the tokenizer whose pre-tokenizer cuts.
        reporter: gets a bar in bytes.
        total_bytes: size of all texts where it is known, for the bar.
        pre_tokenization: how; from the longer pre-tokens of the other two ways those of the base follow.
        most: different pre-tokens to keep; beyond that the rarest are forgotten.

    Raises:
        TokenizerError: the base cuts words otherwise than Qwen, and joined pre-tokens are wanted.
    """
    splitter = _Splitter(base, pre_tokenization)
    parts: list[pl.DataFrame] = []
    documents = size = forgotten = 0
    cores = os.cpu_count() or 1
    # Polars counts batches while Python reads the next one.
    with reporter.task("counting", total_bytes, "bytes") as task, ThreadPoolExecutor(cores) as pool:
        waiting: deque[Future[pl.DataFrame]] = deque()
        for batch, batch_bytes in _batches(texts):
            documents += len(batch)
            size += batch_bytes
            if len(waiting) == cores:
                parts.append(waiting.popleft().result())
            if len(parts) > _PARTS:
                table, lost = drop_rarest(sum_up(pl.concat(parts)), most)
                parts, forgotten = [table], forgotten + lost
            waiting.append(pool.submit(_count_batch, pl.Series("text", batch), splitter))
            task.advance(batch_bytes)
        parts += [counted.result() for counted in waiting]
    empty = pl.DataFrame(schema={"text": pl.String, "count": pl.Int64})
    table, lost = drop_rarest(sum_up(pl.concat([empty, *parts])), most)
    return Counts(table, base.fingerprint, documents, size, pre_tokenization, forgotten + lost)


def drop_rarest(table: pl.DataFrame, most: int) -> tuple[pl.DataFrame, int]:
    """`table` (most frequent first) without its rarest rows where it has more than `most`; their sum.

    Rows of equal count stay or go together, so what is left does not depend on how ties were broken.
    """
    if len(table) <= most:
        return table, 0
    least = int(table["count"][most])
    return table.filter(pl.col("count") > least), int(table.filter(pl.col("count") <= least)["count"].sum())


def count_reference(
    texts: Iterable[str], base: BaseTokenizer, pre_tokenization: PreTokenizationKind = "base"
) -> dict[str, int]:
    """The slow, clear twin of `count_documents`: every document through the pre-tokenizer."""
    splitter = _Splitter(base, pre_tokenization)
    counts: dict[str, int] = {}
    for text in texts:
        for pre_token in splitter.pre_tokens(text):
            counts[pre_token] = counts.get(pre_token, 0) + 1
    return counts


class _Splitter:
    """How one text is cut, and the regular expression that does the same to an ordinary one in Rust."""

    def __init__(self, base: BaseTokenizer, pre_tokenization: PreTokenizationKind) -> None:
        tokenizer = base.tokenizer()
        self._normalizer: Normalizer | None = tokenizer.normalizer
        self._pre_tokenizer: PreTokenizer = tokenizer.pre_tokenizer
        self.joined = pre_tokenization == "joined"
        whole = WORD_PATTERN
        match pre_tokenization:
            case "base":
                spec = None
            case "apostrophe":
                spec, whole = apostrophe_pre_tokenizer(base), without_contractions(WORD_PATTERN)
            case "joined":
                spec = joined_pre_tokenizer(base, *joined_words())
            case _:
                assert_never(pre_tokenization)
        if spec is not None:
            self._pre_tokenizer = pre_tokenizers.Split(
                Regex(spec["pretokenizers"][0]["pattern"]["Regex"]), "isolated"
            )
        # Without its look-ahead, which changes nothing inside a stretch; None for a base unlike Qwen.
        self.pattern = whole.removesuffix(_TAIL) + r"|\s+" if has_qwen_pre_tokenizer(base) else None

    def pre_tokens(self, text: str) -> list[str]:
        """The pre-tokens of one text."""
        normal = self._normalizer.normalize_str(text) if self._normalizer else text
        return [normal[start:end] for _, (start, end) in self._pre_tokenizer.pre_tokenize_str(normal)]


def _batches(texts: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text.encode("utf-8"))
        if size >= _BATCH_BYTES:
            yield batch, size
            batch, size = [], 0
    if batch:
        yield batch, size


def _count_batch(texts: pl.Series, splitter: _Splitter) -> pl.DataFrame:
    unlike = SLOW_PATH if splitter.joined else r"\s\s|[^\S ]"
    odd = texts.str.contains(unlike) if splitter.pattern else pl.repeat(True, len(texts), eager=True)
    counted: list[pl.DataFrame] = []
    slow = texts.filter(odd).to_list()
    if slow:
        pre_tokens = [pre_token for text in slow for pre_token in splitter.pre_tokens(text)]
        counted.append(
            pl.DataFrame({"text": pre_tokens}).group_by("text").agg(pl.len().cast(pl.Int64).alias("count"))
        )
    if splitter.pattern:
        plain = texts.filter(~odd)
        counted.append(count_compact(plain) if splitter.joined else _count_at_spaces(plain, splitter.pattern))
    return add_equal(pl.concat(counted))


def _count_at_spaces(texts: pl.Series, pattern: str) -> pl.DataFrame:
    marked = texts.str.replace_all(" ", BORDER + " ", literal=True)
    return split_segments(marked, pattern).collect(engine="streaming")


_INSIDE, _NEXT_SENTENCE, _CLOSING = "\x01", "\x02", "\x03"
SLOW_PATH = r"\s\s|[^\S ]|\p{M}|[\x01-\x03\x{37E}]"
"""Documents with a match take the plain path: other white space, characters that NFC turns into others."""


@cache
def _marking() -> tuple[str, str, str, str]:
    inside, next_sentence = map(alternatives, joined_words())
    return (
        rf"(\p{{L}}[{PAUSES}]?)\x00 ({inside})([^\p{{L}}]|$)",
        rf"(\p{{L}}[{ENDS}])\x00 ({next_sentence})([^\p{{L}}]|$)",
        r"(\p{L})\x00 (\p{N})",
        rf"(\p{{Ll}})([{MARKS}])(\x00|$)",
    )


_WORD = rf"\p{{L}}+(?:[{PAUSES}]?\x01\p{{L}}+|[{ENDS}]\x02\p{{L}}+)*(?:\x03[{MARKS}]| $)?"
_PATTERN = (
    rf" ?{_WORD}|'(?i:[stmd]|re|ve|ll)|[^\r\n\p{{L}}\p{{N}}]?{_WORD}"
    r"|\p{N}| ?[^\s\x01-\x03\p{L}\p{N}]+|\s+"
)


def count_compact(texts: pl.Series) -> pl.DataFrame:
    """The joined pre-tokens of `texts` (none of them odd), as columns `text` and `count`, not summed up."""
    inside, next_sentence, digit, closing = _marking()
    marked = texts.str.replace_all(" ", BORDER + " ", literal=True)
    for _ in range(2):  # of two joined words in a row, the first pass sees every other one
        marked = marked.str.replace_all(inside, f"${{1}}{_INSIDE}${{2}}${{3}}")
        marked = marked.str.replace_all(next_sentence, f"${{1}}{_NEXT_SENTENCE}${{2}}${{3}}")
    marked = marked.str.replace_all(digit, f"${{1}} {BORDER}${{2}}")
    marked = marked.str.replace_all(closing, f"${{1}}{_CLOSING}${{2}}${{3}}")
    pre_tokens = split_segments(marked, _PATTERN)
    counted = pre_tokens.group_by("text").agg(pl.col("count").sum())
    return counted.with_columns(
        pl.col("text").str.replace_all(r"[\x01\x02]", " ").str.replace(_CLOSING, "", literal=True)
    ).collect(engine="streaming")


def compact_pre_tokenizer(base: BaseTokenizer) -> dict[str, object]:
    """The `pre_tokenizer` of tokenizer.json for the compact profile over `base`."""
    return joined_pre_tokenizer(base, *joined_words())


BORDER = "\x00"
"""Stands between stretches; documents hold none, because the reader removes it."""


def split_segments(marked: pl.Series, pattern: str) -> pl.LazyFrame:
    """The pieces of a text, as columns `text` and `count`; a piece stands once for each stretch that has it.

    Args:
        marked: texts with `BORDER` where no piece goes on.
        pattern: what a piece is, for `extract_all`; it sees a stretch by itself, in NFC.
    """
    segments = (
        marked.to_frame("text")
        .lazy()
        .select(pl.col("text").str.split(BORDER).explode())
        .group_by("text")
        .agg(pl.len().cast(pl.Int64).alias("count"))
    )
    pre_tokens = segments.select(pl.col("text").str.normalize("NFC").str.extract_all(pattern), "count")
    return pre_tokens.explode("text").drop_nulls()
