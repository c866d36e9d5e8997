"""One text encoded by two tokenizers, and the positions where both have a token boundary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AlignedEncoding:
    """Ids of a text with either tokenizer, and the tokens that end at the same byte.

    Token `base_ends[k]` of `base` and token `new_ends[k]` of `new` end at the same byte; the last pair is the
    end of the text. A new token and its base tokens are between two neighbouring pairs.
    """

    base: Ids
    new: Ids
    base_ends: Ids
    new_ends: Ids


class TokenizerPair:
    """Encodes texts with both tokenizers, which must be byte-level and normalise alike."""

    def __init__(self, base: Tokenizer, new: Tokenizer) -> None:
        self.base, self.new = base, new
        self._base_sizes, self._new_sizes = _sizes(base), _sizes(new)

    def encode_new(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of the new tokenizer alone."""
        return [encoding.ids for encoding in self.new.encode_batch_fast(texts, add_special_tokens=False)]

    def base_ids(self, text: str) -> list[int]:
        """Ids of one text with the base tokenizer."""
        ids: list[int] = self.base.encode(text, add_special_tokens=False).ids
        return ids

    def new_ids(self, text: str) -> list[int]:
        """Ids of one text with the new tokenizer."""
        ids: list[int] = self.new.encode(text, add_special_tokens=False).ids
        return ids

    def encode(self, texts: Sequence[str]) -> list[AlignedEncoding]:
        """Both encodings of each text; a text should not be empty."""
        old = self.base.encode_batch_fast(texts, add_special_tokens=False)
        return [
            self._aligned(np.array(encoding.ids, dtype=np.int64), np.array(ids, dtype=np.int64))
            for encoding, ids in zip(old, self.encode_new(texts), strict=True)
        ]

    def _aligned(self, base: Ids, new: Ids) -> AlignedEncoding:
        _, base_ends, new_ends = np.intersect1d(
            np.cumsum(self._base_sizes[base]),
            np.cumsum(self._new_sizes[new]),
            assume_unique=True,
            return_indices=True,
        )
        return AlignedEncoding(base, new, base_ends, new_ends)


def _sizes(tokenizer: Tokenizer) -> Ids:
    """Bytes of each id: one per character of the byte alphabet, or those of an added token's text."""
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    sizes = np.zeros(max(vocab.values()) + 1, dtype=np.int64)
    for token, number in vocab.items():
        sizes[number] = len(token)
    for number, added in tokenizer.get_added_tokens_decoder().items():
        sizes[number] = len(added.content.encode())
    return sizes
