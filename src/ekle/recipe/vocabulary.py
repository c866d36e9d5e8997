"""`[vocabulary]`: which tokens are learned."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ekle.recipe.section import Section

Profile = Literal["portable", "compact", "morphological"]
Strategy = Literal["free", "guide"]


class Quotas(Section):
    """How many tokens of each category the `guide` strategy takes; the sum is the vocabulary size."""

    words: NonNegativeInt = 5000
    suffixes: NonNegativeInt = 3000
    roots: NonNegativeInt = 7000
    complex: NonNegativeInt = 3000
    patterns: NonNegativeInt = 2000


class Vocabulary(Section):
    """Size, profile and strategy of the new vocabulary."""

    size: PositiveInt = 20000
    """Number of new tokens."""
    profile: Profile = "portable"
    strategy: Strategy = "free"
    quotas: Quotas = Quotas()
    min_count: PositiveInt = 100
    """A token must occur at least this often in the text it was learned from, after all merges."""
    step_gain: PositiveInt = 400
    """A token may fall below `min_count`, as a step to a longer one, if that one saves this many tokens;
    a very large number allows it to none."""
    protect: list[str] = []
    """Files in other languages, or code, whose cut the new merges should leave alone."""
    protect_built_in: bool = True
    """Also protect the languages of the built-in tables."""
    protect_strict: bool = False
    """Refuse every merge that fires anywhere in the protected text."""
    foreign_price: float = Field(default=2.0, ge=0)
    """Turkish tokens that a merge must save for each change it makes in protected text of equal size."""
    keep: list[str] = []
    """Files of terms, one a line, that must each become a single token."""
    any_language: bool = False
    """Go on although the corpus does not look Turkish."""
