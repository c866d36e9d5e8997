"""Encoding many texts at once: in batches, as arrays of ids, and by rank where the base's merges allow it."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import tiktoken
from tokenizers import Tokenizer, pre_tokenizers

from ekle.bpe.base import BaseTokenizer

_TEXTS = 2_000
_CHARACTERS = 2_000_000


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """`texts` in their order, up to 2,000 at a time, and fewer where these are long."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == _TEXTS or characters >= _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


_SEPARATOR = "\x00"
_PER_CALL = 4000


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of many texts, end to end: text i is the next `lengths[i]` entries of `ids`."""

    ids: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]

    def id_counts(self, weights: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
        """How often each of `rows` ids occurs when text i occurs `weights[i]` times."""
        counts = np.bincount(self.ids, weights=np.repeat(weights, self.lengths), minlength=rows)
        return counts.astype(np.int64)

    def equals(self, other: "EncodedTexts") -> bool:
        """Whether both hold as many texts in the same pieces."""
        return np.array_equal(self.lengths, other.lengths) and np.array_equal(self.ids, other.ids)

    @staticmethod
    def split_at(mark: int, parts: Sequence[npt.NDArray[np.int32]]) -> "EncodedTexts":
        """The texts of `parts`, each of which ends with the id `mark`."""
        ids = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        ends = np.flatnonzero(ids == mark)
        lengths = np.diff(ends, prepend=-1) - 1
        return EncodedTexts(ids[ids != mark], lengths)


def encode_pre_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> EncodedTexts:
    """Cut each of `texts`, which are whole pre-tokens without NUL, into token ids.

    Every tokenizer is cut with in this way; for a base there is a faster one, `encode_with_base`.
    Many texts travel as one string with NUL between them, because an Encoding a text would cost more
    than the cut itself. The texts are pre-tokens already, so the pre-tokenizer rests meanwhile.
    """
    own = tokenizer.pre_tokenizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_SEPARATOR, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    try:
        (mark,) = tokenizer.encode(_SEPARATOR, add_special_tokens=False).ids
        calls = [
            _SEPARATOR.join(texts[at : at + _PER_CALL]) + _SEPARATOR for at in range(0, len(texts), _PER_CALL)
        ]
        encodings: list[Any] = tokenizer.encode_batch_fast(calls, add_special_tokens=False)
    finally:
        tokenizer.pre_tokenizer = own
    return EncodedTexts.split_at(mark, [np.array(encoding.ids, dtype=np.int32) for encoding in encodings])


_NUL = "\x00"
_TEXTS_PER_CALL = 50_000
_SAMPLE = 2_000
_TOO_FEW = 10_000  # texts that are cut before the ranks are built


def encode_with_base(base: BaseTokenizer, texts: Sequence[str]) -> EncodedTexts:
    """Cut `texts`, which are whole pre-tokens without NUL; equal to `cut(base.tokenizer(), texts)`."""
    if len(texts) < _TOO_FEW:
        return encode_pre_tokens(base.tokenizer(), texts)
    if (ranks := merge_ranks(base)) is None:
        return encode_pre_tokens(base.tokenizer(), texts)
    fast, sample = RankEncoder(ranks), texts[:: len(texts) // _SAMPLE]
    if not fast.encode_pre_tokens(sample).equals(encode_pre_tokens(base.tokenizer(), sample)):
        return encode_pre_tokens(base.tokenizer(), texts)
    return fast.encode_pre_tokens(texts)


def merge_ranks(base: BaseTokenizer) -> dict[bytes, int] | None:
    """The id of each token by its bytes, or None if merges of `base` do not come in the order of ids."""
    normalizer = (base.spec.get("normalizer") or {}).get("type")
    made = [base.vocab[left + right] for left, right in base.merges]
    if normalizer not in (None, "NFC") or any(later <= sooner for sooner, later in pairwise(made)):
        return None
    ranks = {token: number for number, token in enumerate(base.token_bytes) if token is not None}
    return ranks if all(bytes([byte]) in ranks for byte in range(256)) else None


class RankEncoder:
    """Cuts by merging the pair of lowest rank as long as there is one.

    Args:
        ranks: of every token by its bytes, single bytes included; they are the ids that come out.
    """

    def __init__(self, ranks: dict[bytes, int]) -> None:
        self._mark = ranks[_NUL.encode()]
        self._encoder = tiktoken.Encoding(
            "base", pat_str=r"\x00|[^\x00]+", mergeable_ranks=ranks, special_tokens={}
        )

    def encode_pre_tokens(self, texts: Sequence[str]) -> EncodedTexts:
        """Cut each of `texts`, over all cores, after NFC."""
        calls = [
            unicodedata.normalize("NFC", _NUL.join(texts[at : at + _TEXTS_PER_CALL])) + _NUL
            for at in range(0, len(texts), _TEXTS_PER_CALL)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # tiktoken lets other threads run
            parts = [ids.astype(np.int32) for ids in pool.map(self._encoder.encode_to_numpy, calls)]
        return EncodedTexts.split_at(self._mark, parts)
