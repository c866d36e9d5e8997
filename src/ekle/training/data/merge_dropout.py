"""Merge dropout: now and then a new token is replaced by its base tokens.

The text is the same, only its tokenization differs, so that the model also keeps the base's way to read it.
After BPE-dropout (Provilkov, Emelianenko and Voita 2020, "BPE-Dropout: Simple and Effective Subword
Regularization"), with two differences: a new token is replaced by the base's own tokens as a whole, and base
tokens are never split. Evaluations always tokenize without it.
"""

from collections.abc import Mapping, Sequence

import numpy


class MergeDropout:
    """Replaces some new tokens of a document by their base tokens.

    Args:
        base_tokens: the base tokens of each new token, by id (`ekle.bpe.graft`).
        probability: of each occurrence of a new token to be replaced, independently.
        seed: what is replaced in a document depends on the seed and the document's number alone, so that an
            interrupted run goes on with the same tokens.
    """

    def __init__(self, base_tokens: Mapping[int, Sequence[int]], probability: float, seed: int) -> None:
        self._base_tokens, self._probability, self._seed = base_tokens, probability, seed

    def transform(self, number: int, ids: list[int]) -> list[int]:
        """The tokens of document `number`, with some replaced."""
        dropped = numpy.random.default_rng([self._seed, number]).random(len(ids)) < self._probability
        kept: list[int] = []
        for token, is_dropped in zip(ids, dropped.tolist(), strict=True):
            kept += self._base_tokens.get(token, (token,)) if is_dropped else (token,)
        return kept
