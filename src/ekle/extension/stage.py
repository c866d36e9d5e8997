"""Stage 2 in a run: the base model and the vocabulary become the extended model."""

from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import BaseModel, Corpus, ExtendedModel, Vocabulary, read_documents
from ekle.extension.extend import write_extension
from ekle.progress import Report
from ekle.recipe import Recipe


@dataclass(frozen=True)
class Inputs:
    """The new tokens and the model that is to learn them; some rules for rows read the text, too."""

    corpus: Corpus
    vocabulary: Vocabulary
    base: BaseModel


def run(recipe: Recipe, inputs: Inputs, folder: Path, report: Report) -> ExtendedModel:
    """Write the extended model into `folder`; raises what `write_extension` raises."""
    write_extension(
        inputs.vocabulary,
        inputs.base.model,
        folder,
        recipe.extension,
        report,
        lambda: read_documents(inputs.corpus.train),
        called=inputs.base.name,
        replay=(lambda: read_documents(inputs.corpus.replay)) if inputs.corpus.replay.exists() else None,
    )
    return ExtendedModel(folder)
