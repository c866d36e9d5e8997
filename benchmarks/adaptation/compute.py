"""What things cost, in floating-point operations.

A product with a matrix of n numbers costs 2 n a token forwards, 2 n for the gradient of what went in, and 2 n
for that of the matrix; attention is added for the mean distance it looks back. Norms, rotations and the
softmax are left out, as is usual. `ekle.planning.work` counts for hours and not for a fair budget: there
attention is the whole square that a kernel fills, and what a pass makes anew is added.
"""

from dataclasses import dataclass

from ekle.planning.shapes import Shape


@dataclass(frozen=True)
class Cost:
    """Operations a token of the parts of a model with `rows` output rows."""

    layers: float
    """One product with all matrices of all layers, attention included, times two."""
    row: float
    """One output row's product, times two."""

    def training(self, rows: int) -> float:
        """Forwards and backwards through everything."""
        return 3 * (self.layers + rows * self.row)

    def distilling(self, base: int, new: int, depth: float, base_tokens: float) -> float:
        """A token of `distilled`.

        The teacher goes through all layers for its `base_tokens` base pieces, the student forwards and
        backwards through a share `depth` of them, and of the output rows the new ones learn.
        """
        teacher = base_tokens * self.layers
        return teacher + 2 * depth * self.layers + (base + 2 * new) * self.row

    def aligning(self, base: int, new: int, base_tokens: float) -> float:
        """A token of the alignment phase.

        The teacher goes forwards, the student forwards and backwards without the gradients of frozen weights,
        and its output rows once more for the likelihoods that the slopes come from.
        """
        teacher = base_tokens * (self.layers + base * self.row)
        return teacher + 2 * self.layers + (3 * (base + new) + new) * self.row


def cost_of(shape: Shape, sequence: int) -> Cost:
    """Of a model that is read in sequences of so many tokens."""
    looking_back = 2 * shape.queries * sequence / 2  # scores and mixtures, half of the sequence on average
    return Cost(2 * (shape.linear_numbers + shape.layers * looking_back), 2 * shape.hidden)
