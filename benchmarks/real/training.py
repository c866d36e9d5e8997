"""Settings of the trainings, and training by ekle's own engine."""

import shutil
from pathlib import Path
from typing import Any

from benchmarks.real.sizes import Size
from ekle.artifacts import Checkpoint, Corpus, ExtendedModel
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe, make_recipe
from ekle.training import stage


def training_settings(size: Size, steps: int, points: int, **changes: Any) -> dict[str, Any]:
    """`[training]` of all trainings here, the settling included, but for `changes`.

    Args:
        size: batches, rates, rank.
        steps: of the training.
        points: evaluations after the first.
        changes: other settings.
    """
    return {
        "steps": steps,
        "batch_size": size.sequences,
        "gradient_accumulation": 1,
        "sequence_length": size.sequence,
        "optimizer": "adamw",
        "adamw": {"betas": [0.9, 0.99]},
        "learning_rate": size.rate,
        "rows_learning_rate": size.rows_rate,
        "schedule": "cosine",
        "warmup": min(0.5, size.warmup_steps / steps),
        "weight_decay": 0.0,
        "replay_share": size.replay_share,
        "activation_checkpointing": False,
        "neftune": {"alpha": 0.0},
        "dora": {"rank": size.rank, "alpha": float(size.rank), "rslora": False},
        "evaluate_steps": max(1, steps // points),
        "evaluate_bytes": size.validation_bytes,
        "patience": 0,
        "checkpoint_minutes": 5.0,
        "keep_checkpoints": 1,
        **changes,
    }


def training_recipe(size: Size, training: dict[str, Any], seed: int = 0) -> Recipe:
    """A recipe for one training outside a run."""
    context = {"context": size.sequence}
    return make_recipe({"name": "real", "seed": seed, "training": training, "evaluation": context})


def train_extended(
    recipe: Recipe, corpus: Corpus, model: ExtendedModel, folder: Path, reporter: ProgressReporter
) -> Checkpoint:
    """Train an extended model in `folder`; an interrupted training goes on, and its checkpoints are removed
    at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = stage.run(recipe, stage.Inputs(corpus, model), folder, reporter)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return checkpoint
