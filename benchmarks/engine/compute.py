"""What a step of the engine costs in floating-point operations; `benchmarks.adaptation.compute` counts alike.

Weights and rows of the base are frozen, so their products come twice, forwards and for what goes further
back; adapters and new rows are paid three times.
"""

from typing import Any, assert_never

from benchmarks.adaptation.compute import cost_of
from ekle.recipe.training import Training


def step_cost(config: Any, training: Training, base: int, new: int) -> float:
    """Operations of a step, its share of Sophia's curvature or Muon's Newton-Schulz iterations included.

    Args:
        config: Qwen3's, of the base.
        training: batches, rank, optimiser.
        base: rows of the base.
        new: new rows.
    """
    cost, shapes = cost_of(config, training.sequence_length), _shapes(config)
    rank = training.dora.rank
    adapters = sum(2 * rank * (rows + columns) for rows, columns in shapes)
    token = 2 * cost.layers + (2 * (base + new) + new) * cost.row + 3 * adapters
    tokens = training.batch_size * training.sequence_length
    step = tokens * training.gradient_accumulation * token
    match training.optimizer:
        case "adamw":
            return step
        case "sophia":  # one batch in so many steps, and its output rows once more to draw labels
            return step + tokens * (token + (base + new) * cost.row) / training.sophia.hessian_every
        case "muon":
            iteration = sum(_newton_schulz(rank, side) for shape in shapes for side in shape)
            return step + training.muon.iterations * iteration
        case _:
            assert_never(training.optimizer)


def _newton_schulz(rank: int, side: int) -> float:
    """One iteration X <- a X + (b G + c G G) X with G = X X^T, for X (short, long)."""
    short, long = sorted((rank, side))
    return 4 * short**2 * long + 2 * short**3


def _shapes(config: Any) -> list[tuple[int, int]]:
    """Outputs and inputs of every adapted matrix."""
    width, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    attention = [(queries, width), (keys, width), (keys, width), (width, queries)]
    layer = [*attention, (inner, width), (inner, width), (width, inner)]
    return layer * int(config.num_hidden_layers)
