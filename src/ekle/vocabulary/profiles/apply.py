"""What a profile changes: the pre-tokenizer, and with it the pre-tokens that merges are learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import polars as pl

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.pre_tokenizers import apostrophe_pre_tokenizer
from ekle.counting import Counts
from ekle.counting.documents import compact_pre_tokenizer
from ekle.recipe.vocabulary import VocabularySettings
from ekle.vocabulary.constraints.protect import ProtectedText
from ekle.vocabulary.profiles.compact import add_word_contexts
from ekle.vocabulary.profiles.morphological import find_split_rules, names_in_code, split_table, word_counts
from ekle.vocabulary.profiles.split_rules import insert_split

_PRICE_RISE = 0.6
"""How much prices rise for each time that a root counts more; below 1, because endings pay them too."""


@dataclass(frozen=True)
class PreTokenizedTexts:
    """The pre-tokenizer of a profile, and both texts pre-tokenized by it."""

    pre_tokenizer: dict[str, Any] | None
    """The `pre_tokenizer` of tokenizer.json; None keeps the base's."""
    counts: pl.DataFrame
    """Columns `text` and `count`: pre-tokens of the text to learn from, most frequent first. Where a profile
    weighs pre-tokens otherwise than by count, `worth`, by which merges are chosen. Where a profile splits
    words, `whole`: a text of which the finished tokenizer makes the pre-token."""
    foreign: pl.DataFrame
    """Columns `text`, `share`, `cost` and `never`: pre-tokens of protected text, as `ProtectedText.table`."""

    @property
    def keeps_words(self) -> bool:
        """Whether merges see whole words of the text, and not parts of them."""
        return "whole" not in self.counts.columns


def apply_profile(
    settings: VocabularySettings,
    counts: Counts,
    protected: ProtectedText,
    base: BaseTokenizer,
    terms: Sequence[str] = (),
) -> PreTokenizedTexts:
    """Pre-tokenize both texts as `settings.profile` asks.

    Args:
        settings: `profile` and `contractions` are used; the morphological one also asks for `keep_whole` and
            `root_worth`.
        counts: pre-tokens of the text to learn from, of the kind that the profile needs or of one that can be
            converted to it.
        protected: pre-tokens of the protected text, by the base's pre-tokenizer.
        base: the tokenizer whose pre-tokenizer is replaced or kept.
        terms: the user's own; the morphological profile splits none of them.

    Raises:
        InputError: the counts cannot be converted to the kind of pre-tokens that the profile needs.
        TokenizerError: the profile is compact, and the base's pre-tokenizer is not Qwen's.
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
            strict_words = protected.table.filter(pl.col("never") > 0)["text"].str.strip_chars(" ")
            rules = find_split_rules(
                table, words, settings.keep_whole, terms=[*terms, *strict_words.to_list()]
            )
            worth = pl.col("count") + pl.col("first") * (settings.root_worth - 1)
            learned = split_table(table, rules).with_columns(worth.alias("worth")).drop("first")
            elsewhere = pl.concat(
                [
                    split_table(protected.table, rules).drop("first", "whole"),
                    names_in_code(learned, settings.languages.get("en", 0.0)),
                ]
            )
            # Roots pay by their worth, so prices rise with it.
            rise = 1 + _PRICE_RISE * (settings.root_worth - 1)
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
