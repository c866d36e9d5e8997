"""Counting pre-tokens in a stream of documents.

Cutting every occurrence of every word would be waste. Qwen's pre-tokenizer never joins what stands
before a single space with what follows it, so text is first cut at single spaces, equal stretches are
counted (in Rust, over all cores), and only the different ones are cut further. Documents with other
white space take the pre-tokenizer's own path.

Memory holds a batch for each core and the table of counts, which grows with the text, ever more slowly. Past
`MOST_ROWS` the rarest rows are forgotten, as in lossy counting (Manku and Motwani 2002); how many
occurrences that took away is kept with the counts. A pre-token that rare can be no token of its own.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import assert_never

import polars as pl
from tokenizers import Regex, pre_tokenizers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from ekle.bpe.apostrophe import apostrophe_pre_tokenizer, without_contractions
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.joined import is_qwen_cut, joined_pre_tokenizer
from ekle.bpe.qwen import WORD_PATTERN
from ekle.counting.counts import Counts, add_equal, sum_up
from ekle.counting.joined import ODD, count_joined
from ekle.counting.stretches import BORDER, pieces_of_stretches
from ekle.progress import Report
from ekle.recipe.vocabulary import PreTokens
from ekle.turkish.joined import joined_words

MOST_ROWS = 50_000_000
"""Different pre-tokens that are kept; about 4 GB of memory."""

_BATCH_BYTES = 16 << 20
_TAIL = r"|\s+(?!\S)|\s+"
_PARTS = 8  # tables of batches that wait to be added up


def count_documents(
    texts: Iterable[str],
    base: BaseTokenizer,
    report: Report,
    total_bytes: int | None = None,
    *,
    cut: PreTokens = "base",
    most: int = MOST_ROWS,
) -> Counts:
    """Count the pre-tokens of `texts` as `base` cuts them, after NFC.

    Args:
        texts: documents without NUL characters.
        base: the tokenizer whose pre-tokenizer cuts.
        report: gets a bar in bytes.
        total_bytes: size of all texts where it is known, for the bar.
        cut: how to cut; from the longer pre-tokens of the other two ways those of the base follow.
        most: different pre-tokens to keep; beyond that the rarest are forgotten.

    Raises:
        TokenizerError: the base cuts words otherwise than Qwen, and joined pre-tokens are wanted.
    """
    cutter = _Cutter(base, cut)
    parts: list[pl.DataFrame] = []
    documents = size = forgotten = 0
    cores = os.cpu_count() or 1
    # Polars counts batches while Python reads the next one.
    with report.task("counting", total_bytes, "bytes") as task, ThreadPoolExecutor(cores) as pool:
        waiting: deque[Future[pl.DataFrame]] = deque()
        for batch, batch_bytes in _batches(texts):
            documents += len(batch)
            size += batch_bytes
            if len(waiting) == cores:
                parts.append(waiting.popleft().result())
            if len(parts) > _PARTS:
                table, lost = forget(sum_up(pl.concat(parts)), most)
                parts, forgotten = [table], forgotten + lost
            waiting.append(pool.submit(_count_batch, pl.Series("text", batch), cutter))
            task.advance(batch_bytes)
        parts += [counted.result() for counted in waiting]
    empty = pl.DataFrame(schema={"text": pl.String, "count": pl.Int64})
    table, lost = forget(sum_up(pl.concat([empty, *parts])), most)
    return Counts(table, base.fingerprint, documents, size, cut, forgotten + lost)


def forget(table: pl.DataFrame, most: int) -> tuple[pl.DataFrame, int]:
    """`table` (most frequent first) without its rarest rows where it has more than `most`; their sum.

    Rows of equal count stay or go together, so what is left does not depend on how ties were broken.
    """
    if len(table) <= most:
        return table, 0
    least = int(table["count"][most])
    return table.filter(pl.col("count") > least), int(table.filter(pl.col("count") <= least)["count"].sum())


def count_plainly(texts: Iterable[str], base: BaseTokenizer, cut: PreTokens = "base") -> dict[str, int]:
    """The slow, clear twin of `count_documents`: every document through the pre-tokenizer."""
    cutter = _Cutter(base, cut)
    counts: dict[str, int] = {}
    for text in texts:
        for piece in cutter.pieces(text):
            counts[piece] = counts.get(piece, 0) + 1
    return counts


class _Cutter:
    """How one text is cut, and the regular expression that does the same to an ordinary one in Rust."""

    def __init__(self, base: BaseTokenizer, cut: PreTokens) -> None:
        tokenizer = base.tokenizer()
        self._normalizer: Normalizer | None = tokenizer.normalizer
        self._pre_tokenizer: PreTokenizer = tokenizer.pre_tokenizer
        self.joined = cut == "joined"
        whole = WORD_PATTERN
        match cut:
            case "base":
                spec = None
            case "apostrophe":
                spec, whole = apostrophe_pre_tokenizer(base), without_contractions(WORD_PATTERN)
            case "joined":
                spec = joined_pre_tokenizer(base, *joined_words())
            case _:
                assert_never(cut)
        if spec is not None:
            self._pre_tokenizer = pre_tokenizers.Split(
                Regex(spec["pretokenizers"][0]["pattern"]["Regex"]), "isolated"
            )
        # Without its look-ahead, which changes nothing inside a stretch; None for a base unlike Qwen.
        self.pattern = whole.removesuffix(_TAIL) + r"|\s+" if is_qwen_cut(base) else None

    def pieces(self, text: str) -> list[str]:
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


def _count_batch(texts: pl.Series, cutter: _Cutter) -> pl.DataFrame:
    unlike = ODD if cutter.joined else r"\s\s|[^\S ]"
    odd = texts.str.contains(unlike) if cutter.pattern else pl.repeat(True, len(texts), eager=True)
    counted: list[pl.DataFrame] = []
    slow = texts.filter(odd).to_list()
    if slow:
        pieces = [piece for text in slow for piece in cutter.pieces(text)]
        counted.append(
            pl.DataFrame({"text": pieces}).group_by("text").agg(pl.len().cast(pl.Int64).alias("count"))
        )
    if cutter.pattern:
        plain = texts.filter(~odd)
        counted.append(count_joined(plain) if cutter.joined else _count_apart(plain, cutter.pattern))
    return add_equal(pl.concat(counted))


def _count_apart(texts: pl.Series, pattern: str) -> pl.DataFrame:
    marked = texts.str.replace_all(" ", BORDER + " ", literal=True)
    return pieces_of_stretches(marked, pattern).collect(engine="streaming")
