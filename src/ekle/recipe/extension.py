"""`[extension]`: how the new embedding rows start."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ekle.recipe.section import Section

Heuristic = Literal[
    "mean",
    "statistical",
    "subword",
    "length_weighted",
    "first_piece",
    "last_piece",
    "edges",
    "asymmetric",
    "similarity",
    "hybrid",
    "focus",
]
"""Rules that compute rows from the base's rows, without running the model."""

Initialiser = Heuristic

READ_TEXT: frozenset[Initialiser] = frozenset({"focus"})
"""Rules that read the user's text."""


class Similarity(Section):
    """Weights of the groups whose rows `similarity` and `hybrid` mix; a group without members has none."""

    pieces: float = Field(default=1.0, gt=0)
    """The token's own base pieces; above 0, because not every token has another group."""
    root: float = Field(default=1.0, ge=0)
    """Tokens with the same root."""
    chain: float = Field(default=0.5, ge=0)
    """Tokens with the same chain of suffixes."""
    twins: float = Field(default=1.0, ge=0)
    """For suffixes: the same suffixes in other vowels (-larından, -lerinden)."""
    members: PositiveInt = 8
    """Most members of a group; base tokens come first, then new ones, the most frequent first."""


class Hybrid(Section):
    """What `hybrid` adds to the rows of `similarity`."""

    statistics: float = Field(default=0.2, ge=0, le=1)
    """Share of the mean of the base rows in use."""
    noise: float = Field(default=0.05, ge=0)
    """Normal noise, in standard deviations of the base rows in use."""


class Focus(Section):
    """The static vectors by which `focus` finds similar tokens."""

    text_bytes: PositiveInt = 20_000_000
    """Bytes of text to read."""
    window: PositiveInt = 5
    """How far apart two tokens may be to count as company."""
    min_count: PositiveInt = 10
    """Rarer tokens have no vector; a new token without one is the mean of its pieces."""
    dimensions: PositiveInt = 128


class Extension(Section):
    """`init` names the rule for the new rows; docs/rows.md says what each does and costs.

    `seed` feeds the rules that draw noise.
    """

    init: Initialiser = "subword"
    output: Heuristic | None = None
    """Another rule for the output rows of an untied model; None means what `init` does there."""
    seed: NonNegativeInt = 0
    gradient_tokens: NonNegativeInt = 256
    """New tokens whose rows are shown to get a gradient after they are made; 0 leaves it out."""
    similarity: Similarity = Similarity()
    hybrid: Hybrid = Hybrid()
    focus: Focus = Focus()

    @property
    def reads_text(self) -> bool:
        """Whether the rule for either end needs text to read."""
        return not READ_TEXT.isdisjoint({self.init, self.output})
