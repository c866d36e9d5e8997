"""A tokenizer's cut of many pre-tokens at once, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, pre_tokenizers

_MARK = "\x00"
_PER_CALL = 4000


@dataclass(frozen=True)
class Pieces:
    """Token ids of many texts, end to end: text i is the next `lengths[i]` entries of `ids`."""

    ids: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]

    def use(self, weights: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
        """How often each of `rows` ids occurs when text i occurs `weights[i]` times."""
        counts = np.bincount(self.ids, weights=np.repeat(weights, self.lengths), minlength=rows)
        return counts.astype(np.int64)

    def equals(self, other: "Pieces") -> bool:
        """Whether both hold as many texts in the same pieces."""
        return np.array_equal(self.lengths, other.lengths) and np.array_equal(self.ids, other.ids)

    @staticmethod
    def between(mark: int, parts: Sequence[npt.NDArray[np.int32]]) -> "Pieces":
        """The texts of `parts`, each of which ends with the id `mark`."""
        ids = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        ends = np.flatnonzero(ids == mark)
        lengths = np.diff(ends, prepend=-1) - 1
        return Pieces(ids[ids != mark], lengths)


def cut(tokenizer: Tokenizer, texts: Sequence[str]) -> Pieces:
    """Cut each of `texts`, which are whole pre-tokens without NUL, into token ids.

    Every tokenizer is cut with in this way; for a base there is a faster one, `bpe.by_rank`.
    Many texts travel as one string with NUL between them, because an Encoding a text would cost more
    than the cut itself. The texts are pre-tokens already, so the pre-tokenizer rests meanwhile.
    """
    own = tokenizer.pre_tokenizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_MARK, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    try:
        (mark,) = tokenizer.encode(_MARK, add_special_tokens=False).ids
        calls = [_MARK.join(texts[at : at + _PER_CALL]) + _MARK for at in range(0, len(texts), _PER_CALL)]
        encodings: list[Any] = tokenizer.encode_batch_fast(calls, add_special_tokens=False)
    finally:
        tokenizer.pre_tokenizer = own
    return Pieces.between(mark, [np.array(encoding.ids, dtype=np.int32) for encoding in encodings])
