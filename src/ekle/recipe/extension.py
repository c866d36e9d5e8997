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
]
"""Rules that compute rows from the base's rows, without running the model."""

Initialiser = Heuristic


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
