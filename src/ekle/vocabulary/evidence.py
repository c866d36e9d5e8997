"""What each new token does once all of them are there, and the proof that the full pipeline produces it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from ekle.artifacts import NewToken
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.encode import EncodedTexts
from ekle.bpe.learn import LearnedMerge
from ekle.vocabulary.categories import Categories, Category, Description
from ekle.vocabulary.selection import WeightedPreTokens


@dataclass(frozen=True)
class Evidence:
    """The new tokens in the order of their ids, and what was found out about them."""

    tokens: list[NewToken]
    described: list[Description]
    unreachable: list[str]
    """Texts of tokens that the finished tokenizer does not produce from any text that was tried."""
    tokens_before: int
    """Tokens of the learning text with the base tokenizer."""
    tokens_after: int


def gather_evidence(
    merges: Sequence[LearnedMerge],
    taken: Mapping[bytes, Category],
    categories: Categories,
    pre_tokens: WeightedPreTokens,
    after: EncodedTexts,
    base: BaseTokenizer,
    tokenizer: Tokenizer,
) -> Evidence:
    """Look at each new token in the learning text as all merges together leave it.

    Args:
        merges: the merges that gave new ids, in order.
        taken: categories that quotas gave; the others follow from the text of the token.
        categories: what the words of the text say about a token.
        material: the pre-tokens learned from.
        after: those pre-tokens in the pieces of the finished tokenizer.
        base: the tokenizer that was extended.
        tokenizer: the finished one, which must give each token back from text.
    """
    rows = base.rows + len(merges)
    id_counts = after.id_counts(pre_tokens.weights, rows)
    foreign = after.id_counts(np.ceil(pre_tokens.foreign).astype(np.int64), rows)
    plain = base.tokenizer()
    tokens: list[NewToken] = []
    described: list[Description] = []
    for number, merge in enumerate(merges, start=base.rows):
        text = merge.token.decode("utf-8")
        encoded = plain.encode(text, add_special_tokens=False).ids
        about = categories.describe(text)
        described.append(about)
        tokens.append(
            NewToken(
                id=number,
                text=text,
                category=taken.get(merge.token, about.category),
                morphemes=about.morphemes,
                count=int(id_counts[number]),
                tokens_saved=int(id_counts[number]) * (len(encoded) - 1),
                base_tokens=encoded,
                harmony=about.harmony.verdict,
                foreign_hits=int(foreign[number]),
                labels=about.labels,
            )
        )
    own = pl.col("text")
    table = pre_tokens.table
    texts = table.select(pl.coalesce("whole", own) if "whole" in table.columns else own).to_series()
    missing = _unreachable(tokens, after, texts.to_list(), tokenizer)
    before = int((pre_tokens.encoded.lengths * pre_tokens.weights).sum())
    return Evidence(tokens, described, missing, before, int((after.lengths * pre_tokens.weights).sum()))


def _unreachable(
    tokens: Sequence[NewToken], after: EncodedTexts, texts: Sequence[str], tokenizer: Tokenizer
) -> list[str]:
    """Tokens that do not come out of the text they stand in, nor of their own, through all steps.

    A mere step to longer tokens is found where a word goes on in no way that the text has: a profile may
    cut its own text as the whole word that it looks like.
    """
    carriers = [
        texts[place] if place >= 0 else token.text
        for place, token in zip(_carriers(after, tokens), tokens, strict=True)
    ]
    missing = _not_in(tokens, carriers, tokenizer)
    for goes_on in ("", "Q"):
        missing = _not_in(missing, [token.text + goes_on for token in missing], tokenizer)
    return [token.text for token in missing]


def _not_in(tokens: Sequence[NewToken], texts: Sequence[str], tokenizer: Tokenizer) -> list[NewToken]:
    """Those of `tokens` that do not come out of their text."""
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [token for token, encoding in zip(tokens, encodings, strict=True) if token.id not in encoding.ids]


def _carriers(after: EncodedTexts, tokens: Sequence[NewToken]) -> npt.NDArray[np.int64]:
    """Index of the first text in which each token stands, -1 for none."""
    first = tokens[0].id if tokens else 0
    found = np.full(len(tokens), -1, dtype=np.int64)
    owner = np.repeat(np.arange(len(after.lengths)), after.lengths)
    new = np.flatnonzero(after.ids >= first)[::-1]  # backwards, so that the first occurrence is written last
    found[after.ids[new] - first] = owner[new]
    return found
