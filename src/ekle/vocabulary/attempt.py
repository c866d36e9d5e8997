"""One way to learn a vocabulary, from its material to its tokenizer; what protection costs compares two."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer, open_tokenizer
from ekle.bpe.continued import LearnedMerge
from ekle.bpe.graft import Merge, graft
from ekle.bpe.pieces import Pieces, cut
from ekle.progress import Report
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.vocabulary.categories import Categories
from ekle.vocabulary.keep import Kept, keep_terms
from ekle.vocabulary.material import Material
from ekle.vocabulary.profile import Cut
from ekle.vocabulary.select import Choice, choose


@dataclass(frozen=True)
class Attempt:
    """Merges learned from `material` and those of kept terms, and the tokenizer that has them."""

    base: BaseTokenizer
    cut: Cut
    material: Material
    choice: Choice
    kept: Kept

    @property
    def merges(self) -> list[LearnedMerge]:
        """All merges in order; one that leads to a token of the base has that token's id."""
        return [*self.kept.learned, *self.kept.forced]

    @property
    def new(self) -> list[LearnedMerge]:
        """The first merge to each new token, in the order of their ids."""
        fresh = [merge for merge in self.merges if merge.id >= self.base.rows]
        return list({merge.id: merge for merge in fresh}.values())

    @cached_property
    def added(self) -> frozenset[bytes]:
        """What the new tokens are spelled like."""
        return frozenset(merge.token for merge in self.new)

    @cached_property
    def files(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """tokenizer.json and tokenizer_config.json."""
        return graft(self.base, _with_bytes(self.merges, self.base.spelled), self.cut.pre_tokenizer)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, opened."""
        return open_tokenizer(self.files[0])

    @cached_property
    def learned_alone(self) -> Tokenizer:
        """The tokenizer without the merges of kept terms."""
        if not self.kept.forced:
            return self.tokenizer
        merges = _with_bytes(self.kept.learned, self.base.spelled)
        return open_tokenizer(graft(self.base, merges, self.cut.pre_tokenizer)[0])

    @cached_property
    def after(self) -> Pieces:
        """The pre-tokens of the material in the pieces of the tokenizer."""
        if not self.kept.forms:
            return self.choice.learned.pieces
        # Terms that are kept bring merges of their own, so the text is cut again.
        return cut(self.tokenizer, self.material.table["text"].to_list())

    @property
    def tokens_before(self) -> int:
        """Tokens of the learning text with the base tokenizer."""
        return int((self.material.pieces.lengths * self.material.weights).sum())

    @property
    def tokens_after(self) -> int:
        """Tokens of the learning text with this one."""
        return int((self.after.lengths * self.material.weights).sum())


def attempt(
    base: BaseTokenizer,
    cut: Cut,
    material: Material,
    settings: Settings,
    categories: Categories,
    terms: Sequence[str],
    report: Report,
    cost: npt.NDArray[np.float64] | None,
) -> Attempt:
    """Learn as `settings` ask, where changing each pre-token costs `cost`; None protects nothing.

    Raises:
        VocabularyError: the text does not support so many tokens, or a term cannot be kept.
    """
    choice = choose(material, base.spelled, settings, categories, settings.size, report, cost)
    kept = keep_terms(terms, choice.learned.merges, base.spelled, base.tokenizer())
    return Attempt(base, cut, material, choice, kept)


def _with_bytes(merges: Sequence[LearnedMerge], spelled: Sequence[bytes | None]) -> list[Merge]:
    """The merges spelled in bytes instead of ids."""
    names: dict[int, bytes] = {number: name for number, name in enumerate(spelled) if name is not None}
    names.update({merge.id: merge.token for merge in merges})
    return [Merge(names[merge.left], names[merge.right]) for merge in merges]
