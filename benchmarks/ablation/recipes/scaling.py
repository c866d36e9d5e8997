"""Recipes for Qwen3-8B scaled to a small model: fewer and smaller steps, rank and learning rates by width."""

import math
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from benchmarks.ablation.sizes import digest
from ekle.model.layers.dora import scale_of
from ekle.recipe import Recipe
from ekle.recipe.recipe import make_recipe
from ekle.recipe.training import Optimizer

TrainingSizeName = Literal["cpu", "smoke"]


@dataclass(frozen=True)
class TrainingSize:
    """Everything that decides what is measured, but for the shared settings of the same name."""

    steps: int
    """Steps of a variant. An optimiser other than the recommended one takes as many as cost the same."""
    batch: int
    accumulation: int
    sequence: int
    """Tokens per sequence."""
    evaluate_every: int
    """Steps between two points of a curve."""
    test_bytes: int
    """Held-out Turkish for the figures of the page; the validation text is that of the ablations."""
    english_bytes: int
    """Held-out English for the figures of the page."""
    distilled_tokens: int
    """As many per new token as in the recommended recipe: 150."""
    aligned_tokens: int
    """Tokens per step of the alignment."""
    rates: dict[Optimizer, tuple[float, ...]]
    """Multiples of both recommended rates; the best one is chosen."""
    seeds: int

    @property
    def digest(self) -> str:
        """Changes with every number, so that results of other sizes are never mixed."""
        return digest(self)


def training_size_named(name: TrainingSizeName) -> TrainingSize:
    """`cpu` takes about an hour of one core, `smoke` a few seconds."""
    return _SIZES[name]


_SIZES: dict[TrainingSizeName, TrainingSize] = {
    "cpu": TrainingSize(
        steps=150,
        batch=2,
        accumulation=2,
        sequence=256,
        evaluate_every=30,
        test_bytes=42_000,
        english_bytes=30_000,
        distilled_tokens=120_000,
        aligned_tokens=1_024,
        rates={
            "sophia": (1 / 9, 1 / 3, 1.0),  # its clipped step is the rate; AdamW's is mostly less
            "adamw": (1 / 3, 1.0, 3.0),
            "muon": (1 / 3, 1.0, 3.0, 9.0),
        },
        seeds=3,
    ),
    "smoke": TrainingSize(
        steps=4,
        batch=1,
        accumulation=2,
        sequence=64,
        evaluate_every=2,
        test_bytes=1_500,
        english_bytes=1_500,
        distilled_tokens=300,
        aligned_tokens=128,
        rates={"sophia": (1.0,), "adamw": (1.0,), "muon": (1.0,)},
        seeds=1,
    ),
}


RateScaling = Literal["by width", "unchanged", "rank unchanged"]
"""How the rate of the recipe is scaled: by the ratio of the widths, or not at all.

The last keeps rank 512, too, which is wider than the model. So a step through B does as much as in Qwen3-8B,
and a step through A does not."""

WIDTH = 4096
"""Of Qwen3-8B."""


def scale_recipe(
    recipe: Recipe, size: TrainingSize, width: int, rate_scaling: RateScaling = "by width"
) -> Recipe:
    """`recipe` for a model of so many channels; its text, vocabulary and base are ignored.

    Args:
        recipe: one for Qwen3-8B.
        size: steps, batches and what is measured.
        width: channels of the model.
        rate_scaling: how the rate is scaled.
    """
    training, ratio = recipe.training, WIDTH / width
    rows = training.rows_learning_rate or training.learning_rate
    rank = max(1, round(training.dora.rank / ratio))
    match rate_scaling:
        case "by width":
            rate, rows = training.learning_rate * ratio, rows * math.sqrt(ratio)
        case "unchanged":
            rate = training.learning_rate
        case "rank unchanged":
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
        "checkpoint_steps": size.evaluate_every,
        "keep_checkpoints": size.steps,
        "evaluate_steps": size.steps,
        "evaluate_bytes": 10**9,
        "patience": 0,
    }
    content["training"]["dora"] |= {"rank": rank, "alpha": alpha}
    aligned = training.alignment.steps and max(1, round(share * training.alignment.steps))
    content["training"]["alignment"] |= {"steps": aligned, "batch_tokens": size.aligned_tokens}
    content["extension"] |= {"gradient_tokens": 0}
    short = {"tokens": size.distilled_tokens, "batch_tokens": size.aligned_tokens, "save_minutes": 60.0}
    for rule, section in (("distilled", "distillation"), ("mapped", "mapped")):
        if recipe.extension.init == rule:
            content["extension"][section] |= short
    content["evaluation"] |= {"context": size.sequence, "batch_size": 16}
    return make_recipe(content)
