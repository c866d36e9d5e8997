"""Recipes for Qwen3-8B scaled to a small model: fewer and smaller steps, rank and learning rates by width."""

import math
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from benchmarks.ablation.sizes import digest
from ekle.model.layers.dora import scale_of
from ekle.recipe import Recipe
from ekle.recipe.recipe import make_recipe
from ekle.recipe.training import Optimizer

SizeName = Literal["cpu", "smoke"]


@dataclass(frozen=True)
class Size:
    """Everything that decides what is measured; the model and the text are the laboratory's of that name."""

    steps: int
    """Steps of an arm; another optimiser than the recommended one takes those that cost as much."""
    batch: int
    accumulation: int
    sequence: int
    """Tokens of a sequence."""
    every: int
    """Steps between two points of a curve."""
    page: int
    """Bytes of held-out Turkish that only the page reads; the laboratory's own is what is chosen on."""
    english: int
    """Bytes of held-out English that are measured."""
    distilled_tokens: int
    """As many a new token as the recommended recipe's, 150."""
    aligned_tokens: int
    """Tokens of an alignment step."""
    rates: dict[Optimizer, tuple[float, ...]]
    """Multiples of both recommended rates, to choose from."""
    seeds: int

    @property
    def digest(self) -> str:
        """Changes with every number, so that results of other sizes are never mixed."""
        return digest(self)


def size_named(name: SizeName) -> Size:
    """`cpu` takes about an hour of one core, `smoke` a few seconds."""
    return _SIZES[name]


_SIZES: dict[SizeName, Size] = {
    "cpu": Size(
        steps=150,
        batch=2,
        accumulation=2,
        sequence=256,
        every=30,
        page=42_000,
        english=30_000,
        distilled_tokens=120_000,
        aligned_tokens=1_024,
        rates={
            "sophia": (1 / 9, 1 / 3, 1.0),  # its clipped step is the rate, AdamW's mostly a part of it
            "adamw": (1 / 3, 1.0, 3.0),
            "muon": (1 / 3, 1.0, 3.0, 9.0),
        },
        seeds=3,
    ),
    "smoke": Size(
        steps=4,
        batch=1,
        accumulation=2,
        sequence=64,
        every=2,
        page=1_500,
        english=1_500,
        distilled_tokens=300,
        aligned_tokens=128,
        rates={"sophia": (1.0,), "adamw": (1.0,), "muon": (1.0,)},
        seeds=1,
    ),
}


RateScaling = Literal["by width", "as it stands", "rank as it stands"]
"""How the rate of the recipe is understood: as above, or as a number that means the same everywhere; the last
keeps rank 512 too, which is wider than the model, and with it what B does (but not what A does)."""

WIDTH = 4096
"""Of Qwen3-8B."""


def scale_recipe(recipe: Recipe, size: Size, width: int, rate_scaling: RateScaling = "by width") -> Recipe:
    """`recipe` for a model of so many channels; the text, the vocabulary and the base are not looked at.

    Args:
        recipe: one for Qwen3-8B.
        size: steps, batches and what is measured.
        width: channels of the laboratory's model.
        reading: how the rate is understood.
    """
    training, ratio = recipe.training, WIDTH / width
    rows = training.rows_learning_rate or training.learning_rate
    rank = max(1, round(training.dora.rank / ratio))
    match rate_scaling:
        case "by width":
            rate, rows = training.learning_rate * ratio, rows * math.sqrt(ratio)
        case "as it stands":
            rate = training.learning_rate
        case "rank as it stands":
            rate, rank = training.learning_rate, training.dora.rank
        case _:
            assert_never(rate_scaling)
    alpha = scale_of(training.dora) * (math.sqrt(rank) if training.dora.rslora else rank)
    share = size.steps / training.steps
    content: dict[str, Any] = recipe.model_dump(mode="json")
    content["training"] |= {
        "steps": size.steps,
        "batch_size": size.batch,
        "gradient_accumulation": size.accumulation,
        "sequence_length": size.sequence,
        "learning_rate": rate,
        "rows_learning_rate": rows,
        "precision": "fp32",
        "state_precision": "fp32",
        "activation_checkpointing": False,
        "checkpoint_minutes": 1e6,
        "checkpoint_steps": size.every,
        "keep_checkpoints": size.steps,
        "evaluate_steps": size.steps,
        "evaluate_bytes": 10**9,
        "patience": 0,
    }
    content["training"]["dora"] |= {"rank": rank, "alpha": alpha}
    aligned = training.alignment.steps and max(1, round(share * training.alignment.steps))
    content["training"]["alignment"] |= {"steps": aligned, "batch_tokens": size.aligned_tokens}
    content["extension"] |= {"gradient_tokens": 0}
    if recipe.extension.init == "distilled":
        short = {"tokens": size.distilled_tokens, "batch_tokens": size.aligned_tokens, "save_minutes": 60.0}
        content["extension"]["distillation"] |= short
    content["evaluation"] |= {"context": size.sequence, "batch_size": 16}
    return make_recipe(content)
