"""What a profile changes: the pre-tokenizer, and with it the pre-tokens that merges are learned from."""

from dataclasses import dataclass
from typing import Any, assert_never

import polars as pl

from ekle.bpe.apostrophe import apostrophe_pre_tokenizer
from ekle.bpe.base import BaseTokenizer
from ekle.counting import Counts
from ekle.counting.joined import pre_tokenizer
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.vocabulary.compact import joined_foreign
from ekle.vocabulary.cut_stage import pre_tokenizer_with
from ekle.vocabulary.keep import read_terms
from ekle.vocabulary.morphological import cut_rules, names_in_code, recut, word_counts
from ekle.vocabulary.protected import Protected

_PRICE_OF_WORTH = 0.6
"""Rise of the prices for each time that a root counts more: not 1, because endings pay them too."""


@dataclass(frozen=True)
class Cut:
    """The pre-tokenizer of a profile, and both texts as it cuts them."""

    pre_tokenizer: dict[str, Any] | None
    """The `pre_tokenizer` of tokenizer.json; None keeps the base's."""
    counts: pl.DataFrame
    """Columns `text` and `count`: pre-tokens of the text to learn from, most frequent first; and `worth`, by
    which merges are chosen, where a profile wants some pre-tokens more than their count says; and `whole`, a
    text that the finished tokenizer cuts the pre-token out of, where that is not the pre-token itself."""
    foreign: pl.DataFrame
    """Columns `text`, `share`, `cost` and `never`: pre-tokens of the protected text, as `Protected.table`."""

    @property
    def keeps_words(self) -> bool:
        """Whether what merges see are words as they stand in the text, and not parts of them."""
        return "whole" not in self.counts.columns


def cut_for(settings: Settings, counts: Counts, protected: Protected, base: BaseTokenizer) -> Cut:
    """The cut that `settings.profile` asks for.

    Args:
        settings: `profile` and `contractions` are used; the morphological one also asks for `keep_whole` and
            `root_worth`.
        counts: pre-tokens of the text to learn from, cut as the profile needs them, or so that they can be.
        protected: pre-tokens of the protected text, as the base cuts them.
        base: the tokenizer whose pre-tokenizer is replaced or kept.

    Raises:
        InputError: the counts are cut in a way from which that of the profile does not follow.
        TokenizerError: the compact profile is asked for and the base cuts words otherwise than Qwen.
    """
    table = counts.as_cut(settings.pre_tokens).table
    match settings.profile:
        case "portable":
            changed = None if settings.contractions else apostrophe_pre_tokenizer(base)
            return Cut(changed, table, protected.table)
        case "compact":
            foreign = joined_foreign(protected.table, base)
            return Cut(pre_tokenizer(base), table, foreign)
        case "morphological":
            changed = None if settings.contractions else apostrophe_pre_tokenizer(base)
            words = word_counts(table)
            spared = protected.table.filter(pl.col("never") > 0)["text"].str.strip_chars(" ")
            rules = cut_rules(
                table, words, settings.keep_whole, terms=[*read_terms(settings.keep), *spared.to_list()]
            )
            worth = pl.col("count") + pl.col("first") * (settings.root_worth - 1)
            learned = recut(table, rules).with_columns(worth.alias("worth")).drop("first")
            elsewhere = pl.concat(
                [
                    recut(protected.table, rules).drop("first", "whole"),
                    names_in_code(learned, settings.languages.get("en", 0.0)),
                ]
            )
            # Roots pay with what they are worth, so prices rise with it.
            rise = 1 + _PRICE_OF_WORTH * (settings.root_worth - 1)
            priced = elsewhere.group_by("text").agg(
                pl.col("share", "never").sum(), pl.col("cost").sum() * rise
            )
            return Cut(
                pre_tokenizer_with(changed or base.spec["pre_tokenizer"], rules.regex(words)),
                learned,
                priced.sort("text"),
            )
        case _:
            assert_never(settings.profile)
