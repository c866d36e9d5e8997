"""What each new token does in the finished tokenizer, and the proof that the tokenizer produces it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from ekle.artifacts import NewToken
from ekle.bpe.encode import EncodedTexts
from ekle.bpe.measure import NEVER_MERGED, produced_ids
from ekle.vocabulary.categories import Categories, Description
from ekle.vocabulary.selection import LearnedVocabulary


@dataclass(frozen=True)
class Evidence:
    """The new tokens in the order of their ids, and what is known about them."""

    tokens: list[NewToken]
    described: list[Description]
    unreachable: list[str]
    """Texts of tokens that the finished tokenizer does not produce from any text that was tried."""
    tokens_before: int
    """Tokens of the learning text with the base tokenizer."""
    tokens_after: int


def gather_evidence(learned: LearnedVocabulary, categories: Categories) -> Evidence:
    """Count each new token in the learning text as the finished tokenizer encodes it.

    Args:
        learned: the merges, the pre-tokens that they were learned from, and the tokenizers before and after.
        categories: what the words of the text say about a token; quotas may have given another category.
    """
    base, pre_tokens, after = learned.base.tokenizer(), learned.pre_tokens, learned.after
    size = learned.base.rows + len(learned.new)
    id_counts = after.id_counts(pre_tokens.weights, size)
    foreign = after.id_counts(np.ceil(pre_tokens.foreign).astype(np.int64), size)
    tokens: list[NewToken] = []
    described: list[Description] = []
    for number, merge in enumerate(learned.new, start=learned.base.rows):
        text = merge.token.decode("utf-8")
        base_tokens = base.encode(text, add_special_tokens=False).ids
        description = categories.describe(text)
        described.append(description)
        tokens.append(
            NewToken(
                id=number,
                text=text,
                category=learned.selection.by_quota.get(merge.token, description.category),
                morphemes=description.morphemes,
                count=int(id_counts[number]),
                tokens_saved=int(id_counts[number]) * (len(base_tokens) - 1),
                base_tokens=base_tokens,
                harmony=description.harmony.verdict,
                foreign_hits=int(foreign[number]),
                labels=description.labels,
            )
        )
    table, own = pre_tokens.table, pl.col("text")
    texts = table.select(pl.coalesce("whole", own) if "whole" in table.columns else own).to_series()
    missing = _unreachable(tokens, after, texts.to_list(), learned.tokenizer)
    return Evidence(tokens, described, missing, learned.tokens_before, learned.tokens_after)


def _unreachable(
    tokens: Sequence[NewToken], after: EncodedTexts, texts: Sequence[str], tokenizer: Tokenizer
) -> list[str]:
    """Tokens that the full pipeline makes neither of a text that has them nor of their own text.

    A mere step to longer tokens is found where a letter follows that no word of the text has there: a profile
    may leave the token's own text whole as the word that it looks like.
    """
    carriers = [
        texts[place] if place >= 0 else token.text
        for place, token in zip(_carriers(after, tokens), tokens, strict=True)
    ]
    missing = _not_produced(tokens, carriers, tokenizer)
    for continuation in ("", NEVER_MERGED):
        missing = _not_produced(missing, [token.text + continuation for token in missing], tokenizer)
    return [token.text for token in missing]


def _not_produced(tokens: Sequence[NewToken], texts: Sequence[str], tokenizer: Tokenizer) -> list[NewToken]:
    """Those of `tokens` that `tokenizer` does not make of their text."""
    produced = produced_ids(tokenizer, [token.id for token in tokens], texts)
    return [token for token in tokens if token.id not in produced]


def _carriers(after: EncodedTexts, tokens: Sequence[NewToken]) -> npt.NDArray[np.int64]:
    """Index of the first text that has each token, -1 for none."""
    first = tokens[0].id if tokens else 0
    found = np.full(len(tokens), -1, dtype=np.int64)
    owner = np.repeat(np.arange(len(after.lengths)), after.lengths)
    new = np.flatnonzero(after.ids >= first)[::-1]  # backwards, so that the first occurrence is written last
    found[after.ids[new] - first] = owner[new]
    return found
