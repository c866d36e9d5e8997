"""Merge dropout: now and then a new token is presented as the base pieces it stands for.

The text is the same and so is what is learned from it; only the cut differs, so that the model keeps the
base's reading beside the new one. After BPE-dropout (Provilkov, Emelianenko and Voita 2020, "BPE-Dropout:
Simple and Effective Subword Regularization"), with the difference that a token goes back to the base's own
pieces as a whole, and base pieces are never cut. What is measured is always cut without it.
"""

from collections.abc import Mapping, Sequence

import numpy


class MergeDropout:
    """Presents documents with some of their new tokens taken apart.

    Args:
        pieces: the base pieces of each new token, by id (`ekle.bpe.graft`).
        probability: with which each occurrence of a new token is taken apart, by itself.
        seed: what falls apart in a document depends on this and on the document's number alone, so that an
            interrupted run goes on with the same tokens.
    """

    def __init__(self, base_tokens: Mapping[int, Sequence[int]], probability: float, seed: int) -> None:
        self._base_tokens, self._probability, self._seed = base_tokens, probability, seed

    def transform(self, number: int, ids: list[int]) -> list[int]:
        """The tokens of document `number` as the model is to read them."""
        dropped = numpy.random.default_rng([self._seed, number]).random(len(ids)) < self._probability
        presented: list[int] = []
        for token, is_dropped in zip(ids, dropped.tolist(), strict=True):
            presented += self._base_tokens.get(token, (token,)) if is_dropped else (token,)
        return presented
