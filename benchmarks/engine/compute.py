"""What a step of the engine costs in floating-point operations; `benchmarks.adaptation.compute` counts alike.

Weights and rows of the base are frozen, so their products come twice, forwards and for what goes further
back; adapters and new rows are paid three times.
"""

from typing import assert_never

from benchmarks.adaptation.compute import cost_of
from ekle.planning.shapes import Shape
from ekle.recipe.training import Training


def step_cost(shape: Shape, training: Training, base: int, new: int) -> float:
    """Operations of a step, its share of Sophia's curvature or Muon's Newton-Schulz iterations included.

    Args:
        shape: of the base.
        training: batches, rank, optimiser.
        base: rows of the base.
        new: new rows.
    """
    cost, sides = cost_of(shape, training.sequence_length), shape.projections.values()
    rank = training.dora.rank
    adapters = shape.layers * sum(2 * rank * (narrow + wide) for narrow, wide in sides)
    token = 2 * cost.layers + (2 * (base + new) + new) * cost.row + 3 * adapters
    tokens = training.batch_size * training.sequence_length
    step = tokens * training.gradient_accumulation * token
    match training.optimizer:
        case "adamw":
            return step
        case "sophia":  # one batch in so many steps, and its output rows once more to draw labels
            return step + tokens * (token + (base + new) * cost.row) / training.sophia.hessian_every
        case "muon":
            iteration = shape.layers * sum(_newton_schulz(rank, side) for both in sides for side in both)
            return step + training.muon.iterations * iteration
        case _:
            assert_never(training.optimizer)


def _newton_schulz(rank: int, side: int) -> float:
    """One iteration X <- a X + (b G + c G G) X with G = X X^T, for X (short, long)."""
    short, long = sorted((rank, side))
    return 4 * short**2 * long + 2 * short**3
