"""Counting pre-tokens in a stream of documents.

Cutting every occurrence of every word would be waste. Qwen's pre-tokenizer never joins what stands
before a single space with what follows it, so text is first cut at single spaces, equal stretches are
counted (in Rust, over all cores), and only the different ones are cut further. Documents with other
white space take the pre-tokenizer's own path. Memory holds one batch and the table of counts.
"""

from collections.abc import Iterable, Iterator

import polars as pl
from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.qwen import WORD_PATTERN
from ekle.counting.counts import Counts, sum_up
from ekle.progress import Report

_BATCH_BYTES = 32 << 20
_MARK = "\x00"  # documents hold no NUL: the reader removes it
_TAIL = r"|\s+(?!\S)|\s+"


def count_documents(
    texts: Iterable[str], base: BaseTokenizer, report: Report, total_bytes: int | None = None
) -> Counts:
    """Count the pre-tokens of `texts` as `base` cuts them, after NFC.

    Args:
        texts: documents without NUL characters.
        base: the tokenizer whose pre-tokenizer cuts.
        report: gets a bar in bytes.
        total_bytes: size of all texts where it is known, for the bar.
    """
    tokenizer = base.tokenizer()
    pattern = _rust_pattern(base)
    parts: list[pl.DataFrame] = []
    documents = size = 0
    with report.task("counting", total_bytes, "byte") as task:
        for batch, batch_bytes in _batches(texts):
            documents += len(batch)
            size += batch_bytes
            parts.append(_count_batch(pl.Series("text", batch), pattern, tokenizer))
            if len(parts) > 8:
                parts = [sum_up(pl.concat(parts))]
            task.advance(batch_bytes)
    empty = pl.DataFrame(schema={"text": pl.String, "count": pl.Int64})
    return Counts(sum_up(pl.concat([empty, *parts])), base.fingerprint, documents, size)


def count_plainly(texts: Iterable[str], base: BaseTokenizer) -> dict[str, int]:
    """The slow, clear twin of `count_documents`: every document through the pre-tokenizer."""
    tokenizer = base.tokenizer()
    counts: dict[str, int] = {}
    for text in texts:
        for piece in _cut(tokenizer, text):
            counts[piece] = counts.get(piece, 0) + 1
    return counts


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


def _rust_pattern(base: BaseTokenizer) -> str | None:
    """Qwen's regex without its look-ahead, which changes nothing inside a stretch; None for other bases."""
    first = (base.spec["pre_tokenizer"].get("pretokenizers") or [{}])[0]
    regex = first.get("pattern", {}).get("Regex", "")
    same_normaliser = (base.spec.get("normalizer") or {}).get("type") == "NFC"
    return regex.removesuffix(_TAIL) + r"|\s+" if regex == WORD_PATTERN and same_normaliser else None


def _count_batch(texts: pl.Series, pattern: str | None, tokenizer: Tokenizer) -> pl.DataFrame:
    plain = texts.str.contains(r"\s\s|[^\S ]") if pattern else pl.repeat(True, len(texts), eager=True)
    counted: list[pl.DataFrame] = []
    odd = texts.filter(plain).to_list()
    if odd:
        pieces = [piece for text in odd for piece in _cut(tokenizer, text)]
        counted.append(
            pl.DataFrame({"text": pieces}).group_by("text").agg(pl.len().cast(pl.Int64).alias("count"))
        )
    if pattern:
        stretches = (
            texts.filter(~plain)
            .str.replace_all(" ", _MARK + " ", literal=True)
            .str.split(_MARK)
            .explode()
            .value_counts()
            .with_columns(pl.col("text").str.normalize("NFC"))
        )
        counted.append(
            stretches.select(pl.col("text").str.extract_all(pattern), pl.col("count").cast(pl.Int64))
            .explode("text")
            .drop_nulls()
        )
    return sum_up(pl.concat(counted))


def _cut(tokenizer: Tokenizer, text: str) -> list[str]:
    """The pre-tokens of one text."""
    normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
    return [normal[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
