"""Stage 4, extension, in a run: base model and vocabulary become the extended model."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import BaseModel, Corpus, ExtendedModel, Vocabulary, read_documents
from ekle.extension.extend import take_part, write_extension
from ekle.model.distributed import is_main_process
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe


@dataclass(frozen=True)
class Inputs:
    """The new tokens and the base model; some rules for new rows also read the corpus."""

    corpus: Corpus
    vocabulary: Vocabulary
    base: BaseModel


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> ExtendedModel:
    """Write the extended model into `folder`; raises what `write_extension` raises.

    A slow rule keeps its state in `folder/parts` until the model is written. Where several processes share
    it, all call this, and the main one alone writes.
    """
    parts = folder / "parts"
    replay = (lambda: read_documents(inputs.corpus.replay)) if inputs.corpus.replay.exists() else None
    if not is_main_process():
        base, settings = inputs.base.model, recipe.extension
        take_part(
            inputs.vocabulary, base, settings, parts, lambda: read_documents(inputs.corpus.train), replay
        )
        return ExtendedModel(folder)
    write_extension(
        inputs.vocabulary,
        inputs.base.model,
        folder,
        recipe.extension,
        reporter,
        parts,
        lambda: read_documents(inputs.corpus.train),
        base_name=inputs.base.name,
        replay=replay,
    )
    shutil.rmtree(parts, ignore_errors=True)
    return ExtendedModel(folder)
