"""What a profile changes: the pre-tokenizer, and with it the pre-tokens that merges are learned from."""

from dataclasses import dataclass
from typing import Any, assert_never

import polars as pl

from ekle.counting import Counts
from ekle.errors import NotBuiltYet
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.vocabulary.protected import Protected


@dataclass(frozen=True)
class Cut:
    """The pre-tokenizer of a profile, and both texts as it cuts them."""

    pre_tokenizer: dict[str, Any] | None
    """The `pre_tokenizer` of tokenizer.json; None keeps the base's."""
    counts: pl.DataFrame
    """Columns `text` and `count`: pre-tokens of the text to learn from, most frequent first."""
    foreign: pl.DataFrame
    """Columns `text` and `share`: pre-tokens of the protected text, as `Protected.table`."""


def cut_for(settings: Settings, counts: Counts, protected: Protected) -> Cut:
    """The cut that `settings.profile` asks for.

    Args:
        settings: `profile` is used.
        counts: pre-tokens of the text to learn from, as the base cuts them.
        protected: pre-tokens of the protected text, as the base cuts them.
    """
    match settings.profile:
        case "portable":
            return Cut(None, counts.table, protected.table)
        case "compact" | "morphological":
            raise NotBuiltYet(f"the {settings.profile} profile is not built yet; use --profile portable")
        case _:
            assert_never(settings.profile)
