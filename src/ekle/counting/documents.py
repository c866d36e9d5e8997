"""Counting pre-tokens in a stream of documents.

To pre-tokenize every occurrence of every word would be waste. Qwen's pre-tokenizer never joins what precedes
a single space with what follows it. So text is first split at single spaces, equal segments are counted (in
Rust, on all cores), and only the different segments are pre-tokenized. Documents with other white space go
through the pre-tokenizer itself.

Memory holds one batch per core and the table of counts, which grows with the text, ever more slowly. Past
`MAX_ROWS` the rarest rows are dropped, as in lossy counting (Manku and Motwani 2002); the number of dropped
occurrences is kept with the counts. A pre-token that rare can be no token of its own.
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
"""Different pre-tokens that are kept, in about 4 GB of memory."""

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
    """Count the pre-tokens of `texts` by the pre-tokenizer of `base`, after NFC.

    Args:
        texts: documents without NUL characters.
        base: the tokenizer whose pre-tokenizer is used.
        reporter: receives progress in bytes.
        total_bytes: size of all texts where it is known, for the bar.
        pre_tokenization: the kind of pre-tokens; from the longer ones of the other two kinds those of the
            base follow.
        most: different pre-tokens to keep; beyond that the rarest are dropped.

    Raises:
        TokenizerError: joined pre-tokens are wanted, and the base's pre-tokenizer is not Qwen's.
    """
    splitter = _Splitter(base, pre_tokenization)
    tables = TableSum(most)
    documents = size = 0
    cores = os.cpu_count() or 1
    # Polars counts batches while Python reads the next one.
    with reporter.task("counting", total_bytes, "bytes") as task, ThreadPoolExecutor(cores) as pool:
        waiting: deque[Future[pl.DataFrame]] = deque()
        for batch, batch_bytes in _batches(texts):
            documents += len(batch)
            size += batch_bytes
            if len(waiting) == cores:
                tables.add(waiting.popleft().result())
            waiting.append(pool.submit(_count_batch, pl.Series("text", batch), splitter))
            task.advance(batch_bytes)
        table = tables.total(counted.result() for counted in waiting)
    return Counts(table, base.fingerprint, documents, size, pre_tokenization, tables.forgotten)


class TableSum:
    """The sum of many tables of counts, added up a few at a time.

    Args:
        most: rows to keep, as `drop_rarest`.
    """

    def __init__(self, most: int) -> None:
        self.forgotten = 0
        """Occurrences of the rows that were dropped."""
        self._most = most
        self._tables: list[pl.DataFrame] = []

    def add(self, table: pl.DataFrame) -> None:
        """Add one table."""
        self._tables.append(table)
        if len(self._tables) > _PARTS:
            self.total()

    def total(self, last: Iterable[pl.DataFrame] = ()) -> pl.DataFrame:
        """The sum of all tables and of the `last` ones, most frequent row first."""
        empty = pl.DataFrame(schema={"text": pl.String, "count": pl.Int64})
        table, lost = drop_rarest(sum_up(pl.concat([empty, *self._tables, *last])), self._most)
        self._tables, self.forgotten = [table], self.forgotten + lost
        return table


def drop_rarest(table: pl.DataFrame, most: int) -> tuple[pl.DataFrame, int]:
    """`table` (most frequent first) without its rarest rows where it has more than `most`, and their sum.

    Rows of equal count are kept or dropped together, so the result does not depend on how ties were broken.
    """
    if len(table) <= most:
        return table, 0
    least = int(table["count"][most])
    return table.filter(pl.col("count") > least), int(table.filter(pl.col("count") <= least)["count"].sum())


def count_reference(
    texts: Iterable[str], base: BaseTokenizer, pre_tokenization: PreTokenizationKind = "base"
) -> dict[str, int]:
    """The slow, clear reference implementation of `count_documents`: every document goes through the
    pre-tokenizer."""
    splitter = _Splitter(base, pre_tokenization)
    counts: dict[str, int] = {}
    for text in texts:
        for pre_token in splitter.pre_tokens(text):
            counts[pre_token] = counts.get(pre_token, 0) + 1
    return counts


class _Splitter:
    """Pre-tokenizes one text, and holds the regular expression that does so in Rust for an ordinary text."""

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
        # Without its look-ahead, which changes nothing inside a segment; None for a base unlike Qwen.
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
    slow_path = SLOW_PATH if splitter.joined else r"\s\s|[^\S ]"
    unusual = texts.str.contains(slow_path) if splitter.pattern else pl.repeat(True, len(texts), eager=True)
    counted: list[pl.DataFrame] = []
    slow = texts.filter(unusual).to_list()
    if slow:
        pre_tokens = [pre_token for text in slow for pre_token in splitter.pre_tokens(text)]
        counted.append(
            pl.DataFrame({"text": pre_tokens}).group_by("text").agg(pl.len().cast(pl.Int64).alias("count"))
        )
    if splitter.pattern:
        usual = texts.filter(~unusual)
        counted.append(count_compact(usual) if splitter.joined else _count_at_spaces(usual, splitter.pattern))
    return add_equal(pl.concat(counted))


def _count_at_spaces(texts: pl.Series, pattern: str) -> pl.DataFrame:
    marked = texts.str.replace_all(" ", BOUNDARY + " ", literal=True)
    return split_segments(marked, pattern).collect(engine="streaming")


_INSIDE, _NEXT_SENTENCE, _CLOSING = "\x01", "\x02", "\x03"
SLOW_PATH = r"\s\s|[^\S ]|\p{M}|[\x01-\x03\x{37E}]"
"""Documents with a match go through the pre-tokenizer: other white space, characters that NFC changes."""


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
    """The joined pre-tokens of `texts` (of which none matches `SLOW_PATH`), as columns `text` and `count`,
    not summed up."""
    inside, next_sentence, digit, closing = _marking()
    marked = texts.str.replace_all(" ", BOUNDARY + " ", literal=True)
    for _ in range(2):  # of two joined words in a row, the first pass sees every other one
        marked = marked.str.replace_all(inside, f"${{1}}{_INSIDE}${{2}}${{3}}")
        marked = marked.str.replace_all(next_sentence, f"${{1}}{_NEXT_SENTENCE}${{2}}${{3}}")
    marked = marked.str.replace_all(digit, f"${{1}} {BOUNDARY}${{2}}")
    marked = marked.str.replace_all(closing, f"${{1}}{_CLOSING}${{2}}${{3}}")
    pre_tokens = split_segments(marked, _PATTERN)
    counted = pre_tokens.group_by("text").agg(pl.col("count").sum())
    return counted.with_columns(
        pl.col("text").str.replace_all(r"[\x01\x02]", " ").str.replace(_CLOSING, "", literal=True)
    ).collect(engine="streaming")


def compact_pre_tokenizer(base: BaseTokenizer) -> dict[str, object]:
    """The `pre_tokenizer` of tokenizer.json for the compact profile over `base`."""
    return joined_pre_tokenizer(base, *joined_words())


BOUNDARY = "\x00"
"""Marks the boundaries of segments; documents hold no NUL, because the reader removes it."""


def split_segments(marked: pl.Series, pattern: str) -> pl.LazyFrame:
    """The pre-tokens of texts, as columns `text` and `count`, with one row per segment that has the
    pre-token.

    Args:
        marked: texts with `BOUNDARY` between segments, which no pre-token crosses.
        pattern: of a pre-token, for `extract_all`; it sees one segment at a time, in NFC.
    """
    segments = (
        marked.to_frame("text")
        .lazy()
        .select(pl.col("text").str.split(BOUNDARY).explode())
        .group_by("text")
        .agg(pl.len().cast(pl.Int64).alias("count"))
    )
    pre_tokens = segments.select(pl.col("text").str.normalize("NFC").str.extract_all(pattern), "count")
    return pre_tokens.explode("text").drop_nulls()
