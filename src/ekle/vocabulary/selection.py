"""Which merges are learned: weighted pre-tokens, the selection by value or by quotas, and the result."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.encode import EncodedTexts, encode_pre_tokens, encode_with_base
from ekle.bpe.graft import Merge, graft
from ekle.bpe.learn import LearnedMerge, LearningResult, Phase, learn_merges
from ekle.bpe.opening import open_tokenizer
from ekle.errors import VocabularyError
from ekle.progress import ProgressReporter
from ekle.recipe.vocabulary import QuotaSettings, VocabularySettings
from ekle.vocabulary.categories import Categories, Category
from ekle.vocabulary.constraints.keep import KeptTerms, TermForm, keep_terms
from ekle.vocabulary.profiles.apply import PreTokenizedTexts

_CLEAN = r"^[\p{L}\p{N}\p{P}\p{S}\p{Z}\t\n\r]*$"
"""No control or private characters, no marks that stay apart after NFC (i + U+0307), no zero-width or
direction marks: a token with one of them would be a learned error of the text."""
_LATIN = r"^[\p{Latin}\p{N}\p{P}\p{Z}\t\n\r$+<=>^`|~¢-©«-´¶-¿×÷₠-₿™−]*$"
"""Latin letters, numbers, punctuation and the signs of Turkish text; no emoji, no other script."""


@dataclass(frozen=True)
class WeightedPreTokens:
    """Pre-tokens of the text to learn and of the protected text; the arrays have shape (pre-tokens,).

    `table` has the column `text`. `weights` is how often each occurs in the text to learn, `foreign` how
    often in protected text of equal length, `cost` how many tokens a merge must save to change it, and
    `never` whether it must stay whatever that saves. Merges are chosen by `worth`, which is `weights` itself
    unless the profile sets another.
    """

    table: pl.DataFrame
    encoded: EncodedTexts
    weights: npt.NDArray[np.int64]
    worth: npt.NDArray[np.int64]
    foreign: npt.NDArray[np.float64]
    cost: npt.NDArray[np.float64]
    never: npt.NDArray[np.bool_]
    left_out: int
    """Occurrences of pre-tokens that nothing is learned from."""


def weigh_pre_tokens(
    pre_tokenized: PreTokenizedTexts, words: int, base: BaseTokenizer, any_language: bool
) -> WeightedPreTokens:
    """Both texts in one table, with protected text scaled to the length of the text to learn.

    Args:
        pre_tokenized: the counts of both texts.
        words: words of the text to learn from.
        base: the tokenizer whose tokens are merged.
        any_language: also learn from other scripts and from emoji; control characters stay out.
    """
    clean = pl.col("text").str.contains(_CLEAN)
    fit = clean if any_language else clean & pl.col("text").str.contains(_LATIN)
    counts = pre_tokenized.counts.filter(fit)
    left_out = int(pre_tokenized.counts["count"].sum()) - int(counts["count"].sum())
    foreign_alone = pre_tokenized.foreign.join(counts, on="text", how="anti")
    both = counts.join(pre_tokenized.foreign, on="text", how="left", maintain_order="left")
    table = pl.concat([both, foreign_alone], how="diagonal").with_columns(
        pl.col("count").fill_null(0),
        pl.col("share", "cost").fill_null(0.0) * max(words, 1),
        pl.col("never").fill_null(0.0) > 0,
    )
    encoded = encode_with_base(base, table["text"].to_list())
    weights, foreign, cost, never = (
        table[name].to_numpy().copy() for name in ("count", "share", "cost", "never")
    )
    worth = table["worth"].fill_null(0).to_numpy().copy() if "worth" in table.columns else weights
    return WeightedPreTokens(table, encoded, weights, worth, foreign, cost, never, left_out)


class QuotaSlots:
    """The places that quotas give to each category, and the tokens that take them.

    A frequent word whose category is full may take a place in its other category: root or complex.
    """

    def __init__(self, quotas: QuotaSettings, categories: Categories) -> None:
        self.left: dict[Category, int] = {
            "word": quotas.words,
            "suffix": quotas.suffixes,
            "root": quotas.roots,
            "complex": quotas.complex,
            "pattern": quotas.patterns,
        }
        self.taken: dict[bytes, Category] = {}
        self._categories = categories

    def take(self, token: bytes) -> bool:
        """Give `token` a place in the first of its categories that has one."""
        about = self._categories.describe(token.decode("utf-8"))
        for category in (about.category, *about.besides):
            if self.left[category] > 0:
                self.left[category] -= 1
                self.taken[token] = category
                return True
        return False

    def take_suffix(self, token: bytes) -> bool:
        """Give `token` a place if it is a suffix or a chain of suffixes."""
        return self._categories.describe(token.decode("utf-8")).category == "suffix" and self.take(token)


@dataclass(frozen=True)
class Selection:
    """What was learned, and how the quotas were met."""

    learned: LearningResult
    by_quota: dict[bytes, Category]
    """The category of each token that took a place by quota."""
    unfilled: dict[str, int]
    """Places that each category could not fill."""


def select_merges(
    pre_tokens: WeightedPreTokens,
    tokens: Sequence[bytes | None],
    settings: VocabularySettings,
    categories: Categories,
    size: int,
    reporter: ProgressReporter,
    cost: npt.NDArray[np.float64] | None,
) -> Selection:
    """Learn `size` merges as `settings.strategy` asks; `cost` is the cost of changing each pre-token, if any.

    A merge that would leave an earlier new token with fewer than `min_count` occurrences is postponed, unless
    it saves `step_gain` tokens. Postponed merges are taken when no other is left, the most frequent first.

    Raises:
        VocabularyError: the quotas do not add up, or the text does not support so many tokens.
    """
    least = settings.min_count if settings.min_count > 1 else 0
    gain = settings.step_gain
    anything = [Phase(least_use=least, step_gain=gain), Phase()]
    quotas = settings.quotas
    slots = QuotaSlots(quotas, categories)
    left: dict[str, int] = {}
    phases: list[Phase] = anything
    if settings.strategy == "guide":
        _check_quotas(quotas, settings.size)

        def note_unfilled(token: bytes) -> bool:
            # Called when quotas have taken what they can: the places left now stay unfilled.
            left.update(left or {str(category): free for category, free in slots.left.items() if free})
            return True

        # Suffixes first: words that grow before them would take the occurrences that chains need.
        phases = [
            Phase(slots.take_suffix, quotas.suffixes, least),
            Phase(slots.take, None, least),
            Phase(note_unfilled, None, least),
            Phase(note_unfilled),
        ]
    with reporter.task("learning merges", size, "merges") as task:
        learned = learn_merges(
            pre_tokens.encoded,
            pre_tokens.worth,
            tokens,
            size=size,
            min_count=settings.min_count,
            cost=cost,
            phases=phases,
            advance=task.advance,
        )
    if len(learned.merges) < size:
        fewer_splits = ", or a larger vocabulary.keep_whole" if settings.profile == "morphological" else ""
        strict = settings.protect_strict
        less_strict = ", or do without --protect-strict (vocabulary.protect_strict)" if strict else ""
        raise VocabularyError(
            f"this text supports {len(learned.merges):,} tokens that occur {settings.min_count:,} times, "
            f"not {size:,}; give more text, a smaller --size (vocabulary.size), or a smaller "
            f"vocabulary.min_count{fewer_splits}{less_strict}"
        )
    return Selection(learned, slots.taken, left)


def _check_quotas(quotas: QuotaSettings, size: int) -> None:
    total = Counter(quotas.model_dump()).total()
    if total != size:
        raise VocabularyError(f"vocabulary.quotas add up to {total:,}, but vocabulary.size is {size:,}")


@dataclass(frozen=True)
class LearnedVocabulary:
    """Merges learned from `pre_tokens` and those of kept terms, and the tokenizer that has them."""

    base: BaseTokenizer
    pre_tokenized: PreTokenizedTexts
    pre_tokens: WeightedPreTokens
    selection: Selection
    kept: KeptTerms

    @property
    def merges(self) -> list[LearnedMerge]:
        """All merges in order; a merge that makes a token of the base has that token's id."""
        return [*self.kept.learned, *self.kept.forced]

    @property
    def new(self) -> list[LearnedMerge]:
        """The first merge to each new token, in the order of their ids."""
        new = [merge for merge in self.merges if merge.id >= self.base.rows]
        return list({merge.id: merge for merge in new}.values())

    @cached_property
    def added(self) -> frozenset[bytes]:
        """The bytes of the new tokens."""
        return frozenset(merge.token for merge in self.new)

    @cached_property
    def files(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """tokenizer.json and tokenizer_config.json."""
        return graft(
            self.base, _with_bytes(self.merges, self.base.token_bytes), self.pre_tokenized.pre_tokenizer
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, opened."""
        return open_tokenizer(self.files[0])

    @cached_property
    def tokenizer_without_terms(self) -> Tokenizer:
        """The tokenizer without the merges of kept terms."""
        if not self.kept.forced:
            return self.tokenizer
        merges = _with_bytes(self.kept.learned, self.base.token_bytes)
        return open_tokenizer(graft(self.base, merges, self.pre_tokenized.pre_tokenizer)[0])

    @cached_property
    def after(self) -> EncodedTexts:
        """The pre-tokens as the finished tokenizer encodes them."""
        if not self.kept.forms:
            return self.selection.learned.encoded
        # Kept terms add merges of their own, so the text is encoded again.
        return encode_pre_tokens(self.tokenizer, self.pre_tokens.table["text"].to_list())

    @property
    def tokens_before(self) -> int:
        """Tokens of the learning text with the base tokenizer."""
        return int((self.pre_tokens.encoded.lengths * self.pre_tokens.weights).sum())

    @property
    def tokens_after(self) -> int:
        """Tokens of the learning text with the finished tokenizer."""
        return int((self.after.lengths * self.pre_tokens.weights).sum())


def learn_with_terms(
    base: BaseTokenizer,
    pre_tokenized: PreTokenizedTexts,
    pre_tokens: WeightedPreTokens,
    settings: VocabularySettings,
    categories: Categories,
    forms: Sequence[TermForm],
    reporter: ProgressReporter,
    cost: npt.NDArray[np.float64] | None,
) -> LearnedVocabulary:
    """Learn as `settings` ask; `cost` is the cost of changing each pre-token, and None protects nothing.

    Raises:
        VocabularyError: the text does not support so many tokens, or the terms need more of them.
    """
    selection = select_merges(
        pre_tokens, base.token_bytes, settings, categories, settings.size, reporter, cost
    )
    kept = keep_terms(forms, selection.learned.merges, base.token_bytes)
    return LearnedVocabulary(base, pre_tokenized, pre_tokens, selection, kept)


def _with_bytes(merges: Sequence[LearnedMerge], token_bytes: Sequence[bytes | None]) -> list[Merge]:
    """The merges in bytes instead of ids."""
    token_of: dict[int, bytes] = {number: name for number, name in enumerate(token_bytes) if name is not None}
    token_of.update({merge.id: merge.token for merge in merges})
    return [Merge(token_of[merge.left], token_of[merge.right]) for merge in merges]
