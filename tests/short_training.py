"""A training of a few steps on a tiny model."""

from pathlib import Path
from typing import Any

from ekle.artifacts import Checkpoint
from ekle.progress import silent
from ekle.recipe import Recipe, make_recipe
from ekle.training.stage import Inputs, run

SETTINGS: dict[str, Any] = {
    "steps": 8,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "sequence_length": 40,
    "learning_rate": 3e-3,
    "evaluate_steps": 3,
    "checkpoint_steps": 2,
    "log_steps": 2,
    "patience": 0,
    "precision": "fp32",
    "activation_checkpointing": False,
    "dora": {"rank": 2, "alpha": 2.0},
    "sophia": {"hessian_every": 3},
}


def recipe(**changes: Any) -> Recipe:
    return make_recipe({"name": "test", "training": {**SETTINGS, **changes}})


def train(inputs: Inputs, folder: Path, **changes: Any) -> Checkpoint:
    folder.mkdir(exist_ok=True)
    return run(recipe(**changes), inputs, folder, silent())
