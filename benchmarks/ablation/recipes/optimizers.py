"""Three optimisers at equal compute, each at the best of its rates."""

import json
from functools import cache
from pathlib import Path
from typing import get_args

from benchmarks.ablation.recipes import comparisons
from benchmarks.ablation.recipes.training_runs import RecipeVariant, result_of
from benchmarks.ablation.recipes.workspace import Workspace
from ekle.artifacts import Vocabulary
from ekle.planning.flops import step_cost
from ekle.planning.shapes import read_shape
from ekle.recipe.recipe import load_recipe, make_recipe
from ekle.recipe.training import Optimizer


def rate_search(workspace: Workspace) -> dict[Optimizer, list[RecipeVariant]]:
    """For each optimiser a variant at each of its rates."""
    return {
        optimizer: [
            _variant(optimizer, multiple, 0, workspace) for multiple in workspace.size.rates[optimizer]
        ]
        for optimizer in get_args(Optimizer)
    }


def best_rate_seeds(optimizer: Optimizer, workspace: Workspace) -> list[RecipeVariant]:
    """All seeds at the optimiser's best rate, the lowest in bits per byte of the validation text.

    `rate_search` must have run.
    """
    multiples = workspace.size.rates[optimizer]
    found = [
        json.loads(result_of(variant, workspace).read_text("utf-8"))["validation"]
        for variant in rate_search(workspace)[optimizer]
    ]
    best = multiples[found.index(min(found))]
    return [_variant(optimizer, best, seed, workspace) for seed in range(workspace.size.seeds)]


def recommended_optimizer() -> Optimizer:
    """The optimiser whose steps are the budget."""
    return load_recipe(comparisons.RECOMMENDED).training.optimizer


def cost_of_step(optimizer: Optimizer, workspace: Workspace) -> float:
    """Floating-point operations per step."""
    training = comparisons.with_optimizer(optimizer, 1.0, 0, workspace.size, workspace.width).recipe.training
    vocabulary = workspace.vocabulary(load_recipe(comparisons.RECOMMENDED).vocabulary)
    shape = read_shape(workspace.base / "config.json")
    return step_cost(shape, training, *_rows(vocabulary.folder))


@cache
def _rows(vocabulary: Path) -> tuple[int, int]:
    """Base rows and new rows. Every variant asks for them, and the report is long: it is read once."""
    read = Vocabulary(vocabulary)
    return read.first_new_id, read.size


def _variant(optimizer: Optimizer, multiple: float, seed: int, workspace: Workspace) -> RecipeVariant:
    variant = comparisons.with_optimizer(optimizer, multiple, seed, workspace.size, workspace.width)
    relative = cost_of_step(recommended_optimizer(), workspace) / cost_of_step(optimizer, workspace)
    content = variant.recipe.model_dump(mode="json")
    content["training"]["steps"] = max(1, int(workspace.size.steps * relative + 1e-9))
    return RecipeVariant(variant.name, make_recipe(content))
