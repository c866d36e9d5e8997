"""Encoding many texts: in batches, as arrays of ids, and by rank where the base's merges allow it."""

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

_BATCH_TEXTS = 2_000
_BATCH_CHARACTERS = 2_000_000

_SEPARATOR = "\x00"
_TEXTS_PER_CALL = 4_000
_TEXTS_PER_RANK_CALL = 50_000

_LEAST_TEXTS = 10_000  # for fewer texts, building the ranks takes longer than it saves
_SAMPLE = 2_000  # texts that are encoded both ways first


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """`texts` in order, up to 2,000 per batch, and fewer where they are long."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == _BATCH_TEXTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of many texts, end to end: text i is the next `lengths[i]` entries of `ids`."""

    ids: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]

    def id_counts(self, weights: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
        """How often each of the first `size` ids occurs when text i occurs `weights[i]` times."""
        counts = np.bincount(self.ids, weights=np.repeat(weights, self.lengths), minlength=size)
        return counts.astype(np.int64)

    def equals(self, other: "EncodedTexts") -> bool:
        """Whether both hold the same texts as the same tokens."""
        return np.array_equal(self.lengths, other.lengths) and np.array_equal(self.ids, other.ids)

    @staticmethod
    def split_at(separator: int, parts: Sequence[npt.NDArray[np.int32]]) -> "EncodedTexts":
        """The texts of `parts`, each of which ends with the id `separator`."""
        ids = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        ends = np.flatnonzero(ids == separator)
        lengths = np.diff(ends, prepend=-1) - 1
        return EncodedTexts(ids[ids != separator], lengths)


def encode_pre_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> EncodedTexts:
    """Encode each of `texts`, which are whole pre-tokens without NUL.

    This works with every tokenizer; `encode_with_base` is faster with a base. Many texts are passed as one
    string with NUL between them, because one Encoding per text would cost more than encoding it. The texts
    are pre-tokens already, so the tokenizer's own pre-tokenizer is taken out meanwhile.
    """
    own = tokenizer.pre_tokenizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_SEPARATOR, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    try:
        (separator,) = tokenizer.encode(_SEPARATOR, add_special_tokens=False).ids
        calls = [
            _SEPARATOR.join(texts[at : at + _TEXTS_PER_CALL]) + _SEPARATOR
            for at in range(0, len(texts), _TEXTS_PER_CALL)
        ]
        encodings: list[Any] = tokenizer.encode_batch_fast(calls, add_special_tokens=False)
    finally:
        tokenizer.pre_tokenizer = own
    return EncodedTexts.split_at(
        separator, [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
    )


def encode_with_base(base: BaseTokenizer, texts: Sequence[str]) -> EncodedTexts:
    """What `encode_pre_tokens(base.tokenizer(), texts)` gives, faster where the base allows it."""
    if len(texts) < _LEAST_TEXTS:
        return encode_pre_tokens(base.tokenizer(), texts)
    if (ranks := merge_ranks(base)) is None:
        return encode_pre_tokens(base.tokenizer(), texts)
    fast, sample = RankEncoder(ranks), texts[:: len(texts) // _SAMPLE]
    if not fast.encode_pre_tokens(sample).equals(encode_pre_tokens(base.tokenizer(), sample)):
        return encode_pre_tokens(base.tokenizer(), texts)
    return fast.encode_pre_tokens(texts)


def merge_ranks(base: BaseTokenizer) -> dict[bytes, int] | None:
    """The id of each token by its bytes; None if the merges of `base` are not in the order of their ids."""
    normalizer = (base.spec.get("normalizer") or {}).get("type")
    made = [base.vocab[left + right] for left, right in base.merges]
    if normalizer not in (None, "NFC") or any(later <= sooner for sooner, later in pairwise(made)):
        return None
    ranks = {token: number for number, token in enumerate(base.token_bytes) if token is not None}
    return ranks if all(bytes([byte]) in ranks for byte in range(256)) else None


class RankEncoder:
    """Encodes by merging the pair of lowest rank as long as there is one (tiktoken).

    Args:
        ranks: the id of every token by its bytes, single bytes included; lower ids merge first.
    """

    def __init__(self, ranks: dict[bytes, int]) -> None:
        self._separator = ranks[_SEPARATOR.encode()]
        self._encoder = tiktoken.Encoding(
            "base", pat_str=r"\x00|[^\x00]+", mergeable_ranks=ranks, special_tokens={}
        )

    def encode_pre_tokens(self, texts: Sequence[str]) -> EncodedTexts:
        """Encode each of `texts` after NFC, on all cores."""
        calls = [
            unicodedata.normalize("NFC", _SEPARATOR.join(texts[at : at + _TEXTS_PER_RANK_CALL])) + _SEPARATOR
            for at in range(0, len(texts), _TEXTS_PER_RANK_CALL)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # tiktoken lets other threads run
            parts = [ids.astype(np.int32) for ids in pool.map(self._encoder.encode_to_numpy, calls)]
        return EncodedTexts.split_at(self._separator, parts)
