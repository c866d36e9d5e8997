"""`[extension]`: how the new embedding rows start."""

from typing import Literal

from pydantic import NonNegativeInt

from ekle.recipe.section import Section

Initialiser = Literal["mean", "subword", "edges"]


class Extension(Section):
    """`init` names the rule for the new rows; `seed` feeds the rules that draw noise.

    `mean`: the mean of all base rows. `subword`: the mean of the rows of the token's base pieces.
    `edges`: the input row is that of the last piece, the output row that of the first.
    """

    init: Initialiser = "subword"
    seed: NonNegativeInt = 0
    gradient_tokens: NonNegativeInt = 256
    """New tokens whose rows are shown to get a gradient after they are made; 0 leaves it out."""
