"""`[vocabulary]`: which tokens are learned."""

from typing import Annotated, Literal, Self, assert_never

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from ekle.recipe.section import Section

Profile = Literal["portable", "compact", "morphological"]
Strategy = Literal["free", "guide"]
PreTokenizationKind = Literal["base", "apostrophe", "joined"]
"""How text is split before merges: as in the base, without its English contractions, or into longer parts
that keep short words together (docs/decisions/0005)."""


class QuotaSettings(Section):
    """How many tokens of each category the `guide` strategy takes; the sum is the vocabulary size."""

    words: NonNegativeInt = 5000
    suffixes: NonNegativeInt = 3000
    roots: NonNegativeInt = 7000
    complex: NonNegativeInt = 3000
    patterns: NonNegativeInt = 2000


class VocabularySettings(Section):
    """Size, profile and strategy of the new vocabulary."""

    size: PositiveInt = 20000
    """Number of new tokens."""
    profile: Profile = "portable"
    contractions: bool = False
    """Of the portable and the morphological profile: whether English contractions are split off as in the
    base, so that Ankara'da is `Ankara|'d|a`; without, it is `Ankara|'da`, and I'm, don't, we'll stay."""
    keep_whole: NonNegativeInt = 7000
    """Of the morphological profile: this many of the most frequent words, as spelled, are never split."""
    root_worth: PositiveInt = 2
    """Of the morphological profile: an occurrence of a root before a split counts as this many when merges
    are chosen, `min_count` included, so that more roots become one token."""
    strategy: Strategy = "free"
    quotas: QuotaSettings = QuotaSettings()
    min_count: PositiveInt = 100
    """A token must occur at least this often in the text it was learned from when it is learned, and after
    all merges too but for the steps that `step_gain` allows."""
    step_gain: PositiveInt = 200
    """A token may fall below `min_count`, as a step to a longer one, if that one saves this many tokens;
    a very large number allows it to none."""
    protect: list[str] = []
    """Files in other languages, or code, whose tokenization the new merges should leave alone."""
    protect_strict: bool = False
    """Refuse every merge that fires anywhere in the protected files; the report says what that costs."""
    measure_protection_cost: bool = False
    """Learn once more with nothing protected, so that the report can say what protection costs."""
    foreign_price: float = Field(default=10.0, ge=0)
    """Tokens that a merge must save for each word it changes in a protected file of equal size."""
    languages: dict[str, Annotated[float, Field(ge=0)]] = {"en": 10.0, "de": 2.5, "fr": 0.5}
    """The same price for languages that are protected by their word lists (docs/decisions/0006)."""
    keep: list[str] = []
    """Files of terms, one per line, that must each become a single token."""
    gold: list[str] = []
    """Turkish treebanks (CoNLL-U); the report says how often roots of their inflected words stay whole."""
    any_language: bool = False
    """Go on although the corpus does not look Turkish."""

    RENAMED = {"weigh_protection": "measure_protection_cost"}

    @model_validator(mode="after")
    def _has_what_strict_protection_needs(self) -> Self:
        if self.protect_strict and not self.protect:
            raise ValueError(
                "protect_strict protects files, and none is named; give some with --protect "
                "(vocabulary.protect)"
            )
        return self

    @property
    def pre_tokenization(self) -> PreTokenizationKind:
        """The pre-tokenization that the profile learns from."""
        match self.profile:
            case "portable" | "morphological":
                return "base" if self.contractions else "apostrophe"
            case "compact":
                return "joined"
            case _:
                assert_never(self.profile)
