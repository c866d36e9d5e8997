"""Three optimisers at equal compute, each at the best of its rates."""

import json
from typing import get_args

from transformers import AutoConfig

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
        optimizer: [_job(optimizer, rate, 0, ground) for rate in ground.size.rates[optimizer]]
        for optimizer in get_args(Optimizer)
    }


def best_rate(optimizer: Optimizer, ground: Ground) -> float:
    """The rate with the lowest bits per byte on the text to choose on; all have been run."""
    found = {
        job.recipe.training.learning_rate: json.loads(result_of(job, ground).read_text("utf-8"))["choose"]
        for job in over_rates(ground)[optimizer]
    }
    return min(found, key=lambda rate: found[rate])


def over_seeds(optimizer: Optimizer, rate: float, ground: Ground) -> list[Job]:
    """The jobs that are compared."""
    return [_job(optimizer, rate, seed, ground) for seed in range(ground.size.seeds)]


def cost_of_steps(optimizer: Optimizer, ground: Ground) -> float:
    """Operations of one step."""
    training = _job(optimizer, 1.0, 0, ground, steps=1).recipe.training
    vocabulary = ground.vocabulary(load_recipe(arms.RECOMMENDED).vocabulary)
    config = AutoConfig.from_pretrained(ground.base)
    return step_cost(config, training, vocabulary.first_new_id, vocabulary.size)


def _job(optimizer: Optimizer, rate: float, seed: int, ground: Ground, steps: int | None = None) -> Job:
    job = arms.optimised(optimizer, rate, seed, ground.size, ground.width)
    if steps is None:
        budget = ground.size.steps * cost_of_steps("adamw", ground)
        steps = max(1, int(budget / cost_of_steps(optimizer, ground)))
    content = job.recipe.model_dump(mode="json")
    content["training"]["steps"] = steps
    return Job(job.name, make_recipe(content))
