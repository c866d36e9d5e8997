"""Stage 2, vocabulary, in a run: the corpus's counts become a vocabulary, measured on its held-out text."""

from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import Corpus, Vocabulary, read_documents
from ekle.bpe.base import load_base
from ekle.counting import Counts
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.text.documents import TextReader
from ekle.vocabulary.learn import learn_vocabulary


@dataclass(frozen=True)
class Inputs:
    """The counted corpus."""

    corpus: Corpus


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> Vocabulary:
    """Learn the vocabulary of `recipe` into `folder`; raises what `learn_vocabulary` raises."""
    base = load_base(recipe.base.tokenizer, recipe.base.revision)
    corpus = inputs.corpus
    return learn_vocabulary(
        Counts.load(corpus.counts),
        base,
        recipe.vocabulary,
        folder,
        reporter,
        held_out={genre: list(read_documents(path)) for genre, path in corpus.held_out.items()},
        other={name: list(read_documents(path)) for name, path in corpus.other.items()},
        about_text={
            key: corpus.summary[key] for key in ("turkish_share", "repeats") if key in corpus.summary
        },
        reader=TextReader(reporter.say, recipe.corpus.text_field, recipe.corpus.keep_misdecoded),
    )
