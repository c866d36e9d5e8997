"""Continued training of a base with its own tokenizer, outside a run folder: what a control is made by."""

from pathlib import Path

from ekle.artifacts import BaseModel, Corpus
from ekle.files import atomic_folder, write_json
from ekle.progress import ProgressReporter, silent
from ekle.recipe import Recipe


def train_base(
    recipe: Recipe,
    corpus: Corpus,
    base: Path,
    out: Path,
    *,
    steps: int | None = None,
    reporter: ProgressReporter | None = None,
) -> Path:
    """Train a model as it is, with its own tokenizer, and write the merged model.

    `out` gets training/ (log, adapter, checkpoints) and model/, a folder that `AutoModelForCausalLM` and
    `AutoTokenizer` load, in the precision of the base. Called again after an interruption, it goes on from
    the last checkpoint; with model/ there, it does nothing.

    Args:
        recipe: `seed`, `training`, `evaluation.context` and `release`; settings of new tokens say nothing.
        corpus: text to train on, and text to evaluate on.
        base: a model folder with its tokenizer.
        out: a new folder, or one that an interrupted call left.
        steps: in place of `training.steps`.
        reporter: receives progress.

    Returns:
        The folder `out`/model.

    Raises:
        RunFolderError: `out` holds a training that was begun with other settings.
        EkleError: whatever else training or `write_release` raises.
    """
    from ekle.release.model_folder import write_release
    from ekle.training.stage import Inputs, run

    model, reporter = out / "model", reporter or silent()
    if model.is_dir():
        return model
    training = out / "training"
    training.mkdir(parents=True, exist_ok=True)
    write_json(training / "base.json", {"model": str(base.resolve()), "name": str(base)})
    if steps is not None:
        settings = recipe.training.model_copy(update={"steps": steps})
        recipe = recipe.model_copy(update={"training": settings})
    checkpoint = run(recipe, Inputs(corpus, BaseModel(training, str(base))), training, reporter)
    with atomic_folder(model) as folder:
        write_release(
            base,
            checkpoint,
            folder,
            dtype=recipe.release.dtype,
            shard_bytes=int(recipe.release.shard_gigabytes * 1e9),
            reporter=reporter,
        )
    return model
