"""Three optimisers at equal compute, each at the best of its rates."""

import json
from functools import cache
from pathlib import Path
from typing import get_args

from ekle.artifacts import Vocabulary
from ekle.planning.shapes import read_shape
from ekle.recipe.load import load_recipe
from ekle.recipe.recipe import make_recipe
from ekle.recipe.training import Optimizer

from . import arms
from .compute import step_cost
from .ground import Ground
from .measuring import Job, result_of


def over_rates(ground: Ground) -> dict[Optimizer, list[Job]]:
    """For each optimiser a job with each of its rates."""
    return {
        optimizer: [_job(optimizer, multiple, 0, ground) for multiple in ground.size.rates[optimizer]]
        for optimizer in get_args(Optimizer)
    }


def over_seeds(optimizer: Optimizer, ground: Ground) -> list[Job]:
    """The jobs that are compared: at the rate with the lowest bits per byte on the text to choose on.

    All of `over_rates` have been run.
    """
    multiples = ground.size.rates[optimizer]
    found = [
        json.loads(result_of(job, ground).read_text("utf-8"))["choose"]
        for job in over_rates(ground)[optimizer]
    ]
    best = multiples[found.index(min(found))]
    return [_job(optimizer, best, seed, ground) for seed in range(ground.size.seeds)]


def recommended_optimizer() -> Optimizer:
    """Whose steps are the budget."""
    return load_recipe(arms.RECOMMENDED).training.optimizer


def cost_of_step(optimizer: Optimizer, ground: Ground) -> float:
    """Operations of one step."""
    training = arms.optimised(optimizer, 1.0, 0, ground.size, ground.width).recipe.training
    vocabulary = ground.vocabulary(load_recipe(arms.RECOMMENDED).vocabulary)
    shape = read_shape(ground.base / "config.json")
    return step_cost(shape, training, *_rows(vocabulary.folder))


@cache
def _rows(vocabulary: Path) -> tuple[int, int]:
    """Rows of the base and new rows. Every job asks, and the report that says it is long: it is read once."""
    read = Vocabulary(vocabulary)
    return read.first_new_id, read.size


def _job(optimizer: Optimizer, multiple: float, seed: int, ground: Ground) -> Job:
    job = arms.optimised(optimizer, multiple, seed, ground.size, ground.width)
    relative = cost_of_step(recommended_optimizer(), ground) / cost_of_step(optimizer, ground)
    content = job.recipe.model_dump(mode="json")
    content["training"]["steps"] = max(1, int(ground.size.steps * relative + 1e-9))
    return Job(job.name, make_recipe(content))
