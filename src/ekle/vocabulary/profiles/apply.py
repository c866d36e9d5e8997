"""What a profile changes: the pre-tokenizer, and with it the pre-tokens that merges are learned from."""

from dataclasses import dataclass
from typing import Any, assert_never

import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.pre_tokenizers import apostrophe_pre_tokenizer
from ekle.counting import Counts
from ekle.counting.documents import compact_pre_tokenizer
from ekle.recipe.vocabulary import VocabularySettings
from ekle.vocabulary.constraints.keep import read_terms
from ekle.vocabulary.constraints.protect import ProtectedText
from ekle.vocabulary.profiles.compact import add_word_contexts
from ekle.vocabulary.profiles.morphological import find_split_rules, names_in_code, split_table, word_counts
from ekle.vocabulary.profiles.split_rules import insert_split

_PRICE_OF_WORTH = 0.6
"""Rise of the prices for each time that a root counts more: not 1, because endings pay them too."""


@dataclass(frozen=True)
class PreTokenizedTexts:
    """The pre-tokenizer of a profile, and both texts as it cuts them."""

    pre_tokenizer: dict[str, Any] | None
    """The `pre_tokenizer` of tokenizer.json; None keeps the base's."""
    counts: pl.DataFrame
    """Columns `text` and `count`: pre-tokens of the text to learn from, most frequent first; and `worth`, by
    which merges are chosen, where a profile wants some pre-tokens more than their count says; and `whole`, a
    text that the finished tokenizer cuts the pre-token out of, where that is not the pre-token itself."""
    foreign: pl.DataFrame
    """Columns `text`, `share`, `cost` and `never`: pre-tokens of protected text, as `ProtectedText.table`."""

    @property
    def keeps_words(self) -> bool:
        """Whether what merges see are words as they stand in the text, and not parts of them."""
        return "whole" not in self.counts.columns


def apply_profile(
    settings: VocabularySettings, counts: Counts, protected: ProtectedText, base: BaseTokenizer
) -> PreTokenizedTexts:
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
    table = counts.converted_to(settings.pre_tokenization).table
    match settings.profile:
        case "portable":
            changed = None if settings.contractions else apostrophe_pre_tokenizer(base)
            return PreTokenizedTexts(changed, table, protected.table)
        case "compact":
            foreign = add_word_contexts(protected.table, base)
            return PreTokenizedTexts(compact_pre_tokenizer(base), table, foreign)
        case "morphological":
            changed = None if settings.contractions else apostrophe_pre_tokenizer(base)
            words = word_counts(table)
            spared = protected.table.filter(pl.col("never") > 0)["text"].str.strip_chars(" ")
            rules = find_split_rules(
                table, words, settings.keep_whole, terms=[*read_terms(settings.keep), *spared.to_list()]
            )
            worth = pl.col("count") + pl.col("first") * (settings.root_worth - 1)
            learned = split_table(table, rules).with_columns(worth.alias("worth")).drop("first")
            elsewhere = pl.concat(
                [
                    split_table(protected.table, rules).drop("first", "whole"),
                    names_in_code(learned, settings.languages.get("en", 0.0)),
                ]
            )
            # Roots pay with what they are worth, so prices rise with it.
            rise = 1 + _PRICE_OF_WORTH * (settings.root_worth - 1)
            priced = elsewhere.group_by("text").agg(
                pl.col("share", "never").sum(), pl.col("cost").sum() * rise
            )
            return PreTokenizedTexts(
                insert_split(changed or base.spec["pre_tokenizer"], rules.regex(words)),
                learned,
                priced.sort("text"),
            )
        case _:
            assert_never(settings.profile)
