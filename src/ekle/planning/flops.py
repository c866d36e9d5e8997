"""Floating-point operations per token: full training, distilling, aligning, and adapters by optimizer.

Only what one model needs and another does not is of interest here: the same compute for a model and for its
control. What both do alike, or what is small, is left out: the repeated forward pass of activation
checkpointing, the norms of DoRA, evaluations. `ekle.planning.compute` estimates hours and counts those.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from ekle.errors import CheckpointError
from ekle.planning.case import SHARED_FEATURES
from ekle.planning.shapes import ModelShape, read_shape
from ekle.recipe.training import TrainingSettings


@dataclass(frozen=True)
class Cost:
    """Operations per token of the parts of a model."""

    layers: float
    """One product with all matrices of all layers, attention included, times two."""
    row: float
    """One row of the output embeddings, times two."""

    def training(self, rows: int) -> float:
        """Forward and backward pass through everything, with `rows` output rows."""
        return 3 * (self.layers + rows * self.row)

    def distilling(self, base: int, new: int, depth: float, base_tokens: float) -> float:
        """Per token of `distilled`.

        The teacher runs all layers for the token's `base_tokens` base tokens. The student runs forward and
        backward through a share `depth` of the layers. Of the output rows only the new ones learn.
        """
        teacher = base_tokens * self.layers
        return teacher + 2 * depth * self.layers + (base + 2 * new) * self.row

    def mapping(self, base: int, new: int) -> float:
        """Per token of the learning in `mapped`: as a training with frozen layers and output rows."""
        return 2 * self.layers + (2 * (base + new) + new) * self.row

    def aligning(self, base: int, new: int, base_tokens: float) -> float:
        """Per token of the alignment phase.

        The teacher runs forward. The student runs forward and backward, without the gradients of frozen
        weights, and its output rows run once more for the likelihoods that the slopes come from.
        """
        teacher = base_tokens * (self.layers + base * self.row)
        return teacher + 2 * self.layers + (3 * (base + new) + new) * self.row


def cost_of(shape: ModelShape, sequence: int) -> Cost:
    """The cost of a model that reads sequences of so many tokens."""
    attention = 2 * shape.queries * sequence / 2  # scores and mixtures, half of the sequence on average
    return Cost(2 * (shape.linear_parameters + shape.layers * attention), 2 * shape.hidden)


def countable_shape(model: Path) -> ModelShape | None:
    """The shape of the model folder `model`; None where it is of a kind whose operations are not counted."""
    try:
        return read_shape(model / "config.json")
    except CheckpointError:
        return None


@dataclass(frozen=True)
class TrainingCost:
    """Operations of one training, with what had to be learned before its first step."""

    extension: float
    """Learning the new rows, passes of a teacher included; 0 for a rule in closed form."""
    alignment: float
    """The alignment phase, passes of the teacher included."""
    step: float

    def after(self, steps: int) -> float:
        """All operations when `steps` steps are done."""
        return self.extension + self.alignment + steps * self.step

    def steps_for(self, operations: float) -> int:
        """Steps whose operations come nearest to `operations`; at least 1."""
        return max(1, round((operations - self.extension - self.alignment) / self.step))


def step_cost(
    shape: ModelShape, training: TrainingSettings, base: int, new: int, sequences: int | None = None
) -> float:
    """Operations per step, with its share of Sophia's curvature or with Muon's Newton-Schulz iterations.

    Args:
        shape: of the base.
        training: batches, rank, optimiser.
        base: rows of the base.
        new: new rows; 0 for a model without.
        sequences: in a step, of all processes; None means those of one process.
    """
    cost, sides = cost_of(shape, training.sequence_length), shape.projections.values()
    rank = training.dora.rank
    adapters = shape.layers * sum(2 * rank * (narrow + wide) for narrow, wide in sides)
    token = 2 * cost.layers + (2 * (base + new) + new) * cost.row + 3 * adapters
    tokens = training.batch_size * training.sequence_length
    if sequences is None:
        sequences = training.batch_size * training.gradient_accumulation
    step = sequences * training.sequence_length * token
    if training.shared_rows and new:
        step += shape.embedding_matrices * map_update_cost(new, SHARED_FEATURES * shape.hidden, shape.hidden)
    match training.optimizer:
        case "adamw":
            return step
        case "sophia":  # one batch in so many steps, and its output rows once more to sample labels
            return step + tokens * (token + (base + new) * cost.row) / training.sophia.hessian_every
        case "muon":
            iteration = shape.layers * sum(_newton_schulz(rank, side) for both in sides for side in both)
            return step + training.muon.iterations * iteration
        case _:
            assert_never(training.optimizer)


def map_update_cost(tokens: int, features: int, width: int) -> float:
    """Per step of `mapped` and matrix: all rows from the map, the map's gradient, and Muon's update of it.

    Args:
        tokens: new tokens.
        features: numbers that a row is mapped from.
        width: of a row.
    """
    return 4 * tokens * features * width + _MUON_ITERATIONS * _newton_schulz(features, width)


_MUON_ITERATIONS = 5  # of torch.optim.Muon


def _newton_schulz(rank: int, side: int) -> float:
    """One iteration X <- a X + (b G + c G G) X with G = X X^T, for X (short, long)."""
    short, long = sorted((rank, side))
    return 4 * short**2 * long + 2 * short**3
