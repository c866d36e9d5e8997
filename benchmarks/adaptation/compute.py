"""What things cost, in floating-point operations.

A product with a matrix of n numbers costs 2 n a token forwards, 2 n for the gradient of what went in, and 2 n
for that of the matrix; attention is added for the mean distance it looks back. Norms, rotations and the
softmax are left out, as is usual.
"""

from dataclasses import dataclass
from typing import Any


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


def cost_of(config: Any, sequence: int) -> Cost:
    """Of a Qwen3 configuration, read in sequences of so many tokens."""
    width, head = config.hidden_size, config.head_dim
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    numbers = width * (2 * queries + 2 * keys) + 3 * width * config.intermediate_size
    looking_back = 2 * queries * sequence / 2  # scores and mixtures, half of the sequence on average
    return Cost(2 * config.num_hidden_layers * (numbers + looking_back), 2 * width)
