"""Stage 7, release, in a run: merge, write, describe."""

from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import BaseModel, Checkpoint, ExtendedModel, Release, Scorecard
from ekle.bpe.opening import read_specification
from ekle.bpe.pre_tokenizers import how_to_make_gguf
from ekle.files import atomic_file, read_json
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.release.card import model_card, origin_of
from ekle.release.model_folder import write_release


@dataclass(frozen=True)
class Inputs:
    """The model in its parts, and what was measured of it."""

    base: BaseModel
    extended: ExtendedModel
    checkpoint: Checkpoint
    scorecard: Scorecard


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> Release:
    """Write `folder/model`; raises what `write_release` raises."""
    settings = recipe.release
    release = Release(folder)
    write_release(
        inputs.extended.model,
        inputs.checkpoint,
        release.model,
        dtype=settings.dtype,
        shard_bytes=int(settings.shard_gigabytes * 1e9),
        reporter=reporter,
    )
    about = read_json(inputs.extended.folder / "extension.json")
    origin = origin_of(inputs.base.name, inputs.base.model)
    with atomic_file(release.model / "README.md") as path:
        gguf = how_to_make_gguf(read_specification(release.model / "tokenizer.json"))
        card = model_card(recipe, about, inputs.scorecard.report, origin, gguf)
        path.write_text(card, encoding="utf-8")
    return release
