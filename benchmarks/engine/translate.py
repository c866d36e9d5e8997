"""A recipe for Qwen3-8B, put into the terms of a model that is some forty times narrower.

Shares and counts stay. The rank shrinks with the width, and the scale s of the adapters stays. What a step
of the optimiser does to the outputs does not: Sophia where it clips, AdamW and Muon move every number of
A (r, in) and B (out, r) by about the rate, and as far as they pull together, W + s B A moves its outputs in
proportion to rate * s * r through B and to rate * in through A. Both are 43 times smaller in a model 43 times
narrower, so the same rate is 43 times gentler there, and the rate that does the same is 43 times higher
(Yang et al. 2022, "Tensor Programs V", arXiv:2203.03466: under Adam the rate of hidden matrices goes with
1 / fan_in). For rows the same reasoning leaves the input end as it is and changes the output end by the whole
factor; one setting serves both, so it is moved by the square root.
"""

import math
from typing import Any, Literal, assert_never

from ekle.model.dora import scale_of
from ekle.recipe import Recipe
from ekle.recipe.recipe import make_recipe

from .sizes import Size

Reading = Literal["by width", "as it stands", "rank as it stands"]
"""How the rate of the recipe is understood: as above, or as a number that means the same everywhere; the last
keeps rank 512 too, which is wider than the model, and with it what B does (but not what A does)."""

WIDTH = 4096
"""Of Qwen3-8B."""


def to_laboratory(recipe: Recipe, size: Size, width: int, reading: Reading = "by width") -> Recipe:
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
    match reading:
        case "by width":
            rate, rows = training.learning_rate * ratio, rows * math.sqrt(ratio)
        case "as it stands":
            rate = training.learning_rate
        case "rank as it stands":
            rate, rank = training.learning_rate, training.dora.rank
        case _:
            assert_never(reading)
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
