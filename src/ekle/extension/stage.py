"""Stage 4, extension, in a run: base model and vocabulary become the extended model."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import BaseModel, Corpus, ExtendedModel, Vocabulary, read_documents
from ekle.extension.extend import write_extension
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

    A slow rule keeps its state in `folder/parts` until the model is written.
    """
    parts = folder / "parts"
    write_extension(
        inputs.vocabulary,
        inputs.base.model,
        folder,
        recipe.extension,
        reporter,
        parts,
        lambda: read_documents(inputs.corpus.train),
        base_name=inputs.base.name,
        replay=(lambda: read_documents(inputs.corpus.replay)) if inputs.corpus.replay.exists() else None,
    )
    shutil.rmtree(parts, ignore_errors=True)
    return ExtendedModel(folder)
