"""One variant: `ekle train` trains it, and its checkpoints are measured."""

import hashlib
import json
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.ablation.recipes.workspace import Workspace
from ekle.artifacts import Checkpoint, ExtendedModel
from ekle.files import write_json
from ekle.model.checkpoint.merging import load_trained
from ekle.model.scoring.bits_per_byte import measure
from ekle.progress import silent
from ekle.recipe import Recipe
from ekle.training import stage
from ekle.training.checkpoints import Checkpoints

Result = dict[str, Any]


@dataclass(frozen=True)
class RecipeVariant:
    """A recipe scaled to the small model, and its name."""

    name: str
    recipe: Recipe
    """Its seed decides the order of the text, the noise and the initial adapters."""

    @property
    def digest(self) -> str:
        """Of all settings that are not at their defaults, so that a new setting of ekle does not change it.

        Variants with the same digest share one result.
        """
        names = {"seed", "vocabulary", "extension", "training"}
        parts = self.recipe.model_dump(mode="json", include=names, exclude_defaults=True)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def run_recipe(variant: RecipeVariant, workspace: Workspace) -> None:
    """Train with ekle's own training stage, and write the result; an interrupted training resumes.

    The result has bits per byte of the Turkish test text by step, of the English one at both ends and in the
    middle, and of the validation text at the end; Sophia's share of clipped coordinates; and the settings.
    """
    result = result_of(variant, workspace)
    if result.exists():
        return
    recipe = variant.recipe
    extended = workspace.extended(recipe.extension, workspace.vocabulary(recipe.vocabulary))
    run = workspace.folder / "runs" / variant.digest
    run.mkdir(parents=True, exist_ok=True)
    measures = Path("curriculum", "measures.safetensors")  # of the text alone: all runs share them
    if recipe.training.curriculum.pacing != "off" and (workspace.folder / measures).exists():
        (run / measures).parent.mkdir(exist_ok=True)
        shutil.copyfile(workspace.folder / measures, run / measures)
    stage.run(recipe, stage.Inputs(workspace.corpus, extended), run, silent())
    if (run / measures).exists():
        (workspace.folder / measures).parent.mkdir(exist_ok=True)
        shutil.copyfile(run / measures, workspace.folder / measures)
    steps = recipe.training.steps
    checkpoints = Checkpoints(run / "checkpoints", recipe.training.keep_checkpoints)
    found = {0: _measured(None, extended, workspace, ("turkish", "english"))}
    for step in _probes(workspace, steps):
        languages = ("turkish", "english") if step in (steps, _middle(workspace)) else ("turkish",)
        found[step] = _measured(Checkpoint(checkpoints.at(step)), extended, workspace, languages)
    log = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
    clipped = [entry["clipped_share"] for entry in log if "clipped_share" in entry]
    validation = [entry["held_out_bits_per_byte"] for entry in log if "held_out_bits_per_byte" in entry]
    write_json(
        result,
        {
            "name": variant.name,
            "seed": recipe.seed,
            "turkish": {str(step): each["turkish"] for step, each in found.items()},
            "english": {str(step): each["english"] for step, each in found.items() if "english" in each},
            "validation": validation[-1],
            "clipped_share": statistics.fmean(clipped) if clipped else None,
            "training": recipe.training.model_dump(mode="json"),
            "extension": recipe.extension.model_dump(mode="json"),
        },
    )
    shutil.rmtree(run)


def result_of(variant: RecipeVariant, workspace: Workspace) -> Path:
    """The file that is written when the variant is done."""
    return workspace.folder / "results" / f"{variant.digest}.json"


def measure_base(workspace: Workspace) -> Result:
    """Bits per byte of the unchanged base on the test text."""
    place = workspace.folder / "results" / "base.json"
    if not place.exists():
        write_json(place, _bits(workspace.base, None, workspace, ("turkish", "english")))
    found: Result = json.loads(place.read_text("utf-8"))
    return found


def _measured(
    checkpoint: Checkpoint | None, extended: ExtendedModel, workspace: Workspace, languages: tuple[str, ...]
) -> dict[str, float]:
    return _bits(extended.model, checkpoint, workspace, languages)


def _bits(
    model_folder: Path, checkpoint: Checkpoint | None, workspace: Workspace, languages: tuple[str, ...]
) -> dict[str, float]:
    model, tokenizer = load_trained(model_folder, checkpoint, torch.float32, torch.device("cpu"))
    return {
        language: measure(
            model, tokenizer, workspace.test_text(language), context=workspace.size.sequence, batch_size=16
        ).bits_per_byte
        for language in languages
    }


def _probes(workspace: Workspace, steps: int) -> list[int]:
    return [*range(workspace.size.evaluate_every, steps, workspace.size.evaluate_every), steps]


def _middle(workspace: Workspace) -> int:
    return workspace.size.steps // (2 * workspace.size.evaluate_every) * workspace.size.evaluate_every
