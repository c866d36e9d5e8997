"""The control of a run: the unchanged base with the unchanged tokenizer, trained for the same operations.

Whether a vocabulary pays shows only against what the base would have learned from the same text, with the
same engine, for the same compute. That compute includes what the new rows took before the first step: their
learning by a rule, the passes of a teacher, the alignment. So the control does more steps than ours.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ekle.artifacts import BaseModel, Checkpoint, Corpus, ExtendedModel
from ekle.errors import CheckpointError
from ekle.files import read_json, write_json
from ekle.model.distributed import is_main_process
from ekle.planning.flops import TrainingCost, countable_shape, step_cost
from ekle.planning.shapes import ModelShape, read_shape
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.recipe.training import TrainingSettings
from ekle.training import stage


@dataclass(frozen=True)
class Inputs:
    """Text to train on, the base, and what was made of it, whose operations are the budget."""

    corpus: Corpus
    base: BaseModel
    extended: ExtendedModel
    checkpoint: Checkpoint


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> Checkpoint:
    """Train the control. An interrupted run in `folder` goes on from its last checkpoint.

    Writes what `ekle.training.stage.run` writes, without new rows; training.json also has the budget.

    Raises:
        CheckpointError: the base is of a kind whose operations ekle cannot count, and whatever else training
            refuses.
    """
    shape = countable_shape(inputs.base.model)
    if shape is None:
        raise CheckpointError(
            f"{inputs.base.model / 'config.json'} describes no model whose operations ekle counts, and a "
            "control has as many as ours; run without --control (control.train)"
        )
    ours = read_json(inputs.checkpoint.folder / "training.json")
    sequences = _sequences(ours)
    if "flops" not in ours and recipe.training.alignment.steps:
        reporter.say(
            "ekle 0.2 did not count the alignment; ekle run RECIPE --redo training puts it into the budget"
        )
    budget = budget_of(ours, recipe.training, shape, inputs.extended)
    settings, cost = control_settings(recipe, shape, budget, sequences)
    reporter.say(
        f"ours took {budget:.3g} floating-point operations in {ours['steps']:,} steps; the control takes "
        f"{cost.after(settings.steps):.3g} in {settings.steps:,}",
        budget=budget,
        flops=cost.after(settings.steps),
        steps=settings.steps,
    )
    own = recipe.model_copy(update={"training": settings})
    trained = stage.Inputs(inputs.corpus, inputs.base)
    made = stage.run(own, trained, folder, reporter, step_sequences=sequences)
    if is_main_process():
        about = read_json(folder / "training.json")
        write_json(folder / "training.json", {**about, "budget_flops": budget})
    return made


def budget_of(
    ours: dict[str, Any], settings: TrainingSettings, shape: ModelShape, extended: ExtendedModel
) -> float:
    """Operations of our training and of all that led to it.

    Args:
        ours: its training.json.
        settings: of our training; they count where ekle 0.2 trained, which recorded no operations.
        shape: of the base.
        extended: the extended model.
    """
    if "flops" in ours:
        return float(ours["flops"])
    first = extended.first_new_id
    new = read_shape(extended.model / "config.json").rows - first
    each = step_cost(shape, settings, first, new, _sequences(ours))
    return TrainingCost(extended.flops, 0.0, each).after(int(ours["steps"]))


def control_settings(
    recipe: Recipe, shape: ModelShape, budget: float, sequences: int
) -> tuple[TrainingSettings, TrainingCost]:
    """How the control is trained, and what that costs.

    Args:
        recipe: settings of our training, and of the control.
        shape: of the base.
        budget: operations.
        sequences: in a step, of all processes.
    """
    rate = recipe.control.learning_rate or recipe.training.learning_rate
    settings = recipe.training.without_new_tokens().model_copy(update={"learning_rate": rate})
    cost = TrainingCost(0.0, 0.0, step_cost(shape, settings, shape.rows, 0, sequences))
    return settings.model_copy(update={"steps": cost.steps_for(budget)}), cost


def _sequences(ours: dict[str, Any]) -> int:
    """Sequences in a step of our training; ekle 0.2 recorded its tokens."""
    if "sequences" in ours:
        return int(ours["sequences"])
    tokens = int(ours["steps"]) * int(ours["settings"]["training.sequence_length"])
    return round(int(ours["tokens"]) / tokens)
