"""The stages of a run, in their order. `make` below, read from top to bottom, is what `ekle run` does."""

from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from ekle.artifacts import BaseModel, Checkpoint, Corpus, ExtendedModel, Release, Scorecard, Stage, Vocabulary
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe, training

SETTINGS: dict[Stage, tuple[str, ...]] = {
    "corpus": (
        "base.tokenizer",
        "base.revision",
        "corpus",
        "vocabulary.any_language",
        "vocabulary.profile",
        "vocabulary.contractions",
    ),
    "vocabulary": (
        "base.tokenizer",
        "base.revision",
        "vocabulary",
        "corpus.text_field",
        "corpus.keep_misdecoded",
    ),
    "base": ("seed", "base"),
    "extension": ("extension",),
    "training": ("seed", "base.revision", "training", "evaluation.context"),
    "control": ("seed", "base.revision", "training", "control", "evaluation.context"),
    "evaluation": ("name", "training.instruction_share", "evaluation"),
    "release": ("name", "extension", "training", "release"),
}
"""The keys and sections of the recipe that a stage reads; a change to one puts the stage out of date."""

RUNTIME_SETTINGS: frozenset[str] = frozenset(f"training.{name}" for name in training.RUNTIME_SETTINGS)
"""Settings of how a stage works; a finished one is kept when they change."""

INPUTS: dict[Stage, tuple[Stage, ...]] = {
    "corpus": (),
    "vocabulary": ("corpus",),
    "base": ("corpus",),
    "extension": ("corpus", "vocabulary", "base"),
    "training": ("corpus", "extension"),
    "control": ("corpus", "base", "extension", "training"),
    "evaluation": ("corpus", "vocabulary", "base", "extension", "training", "control"),
    "release": ("base", "extension", "training", "evaluation"),
}
"""The stages whose output a stage reads; in a run without a control, without that."""

SHARED: tuple[Stage, ...] = ("extension", "training", "control")
"""Stages that several processes make together; the extension only by a rule that does (`shared_stages`)."""

RESUMABLE: frozenset[Stage] = frozenset({"base", "extension", "training", "control", "evaluation"})
"""Stages that go on from what an interrupted attempt left; the others start with an empty folder."""


def shared_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages of `SHARED` that several processes make together with this recipe."""
    return SHARED if recipe.extension.init == "mapped" else SHARED[1:]


def make(stage: Stage, recipe: Recipe, place: Callable[[Stage], Path], reporter: ProgressReporter) -> None:
    """Make the output of one stage.

    A stage's package is imported when its turn comes, because torch alone takes seconds and a run
    whose stages are all kept needs none of them.

    Args:
        stage: what to make; the stages of `INPUTS[stage]` are made already.
        recipe: the settings.
        place: gives the folder of a stage.
        reporter: receives progress.
    """
    folder = place(stage)
    corpus = Corpus(place("corpus"))
    vocabulary = Vocabulary(place("vocabulary"))
    base = BaseModel(place("base"), recipe.base.model)
    extended = ExtendedModel(place("extension"))
    checkpoint = Checkpoint(place("training"))
    control = Checkpoint(place("control"), has_new_rows=False) if recipe.control.train else None
    scorecard = Scorecard(place("evaluation"))
    made: Corpus | Vocabulary | BaseModel | ExtendedModel | Checkpoint | Scorecard | Release
    match stage:
        case "corpus":  # read the text, hold a part of it out, count the rest
            import ekle.corpus.stage as corpus_stage

            made = corpus_stage.run(recipe, corpus_stage.Inputs(), folder, reporter)
        case "vocabulary":  # learn the new tokens from the counts
            import ekle.vocabulary.stage as vocabulary_stage

            made = vocabulary_stage.run(recipe, vocabulary_stage.Inputs(corpus), folder, reporter)
        case "base":  # find the model that is to learn them, or build the tiny one
            import ekle.base.stage as base_stage

            made = base_stage.run(recipe, base_stage.Inputs(corpus), folder, reporter)
        case "extension":  # give it rows for them, and change nothing else
            import ekle.extension.stage as extension_stage

            parts_of_model = extension_stage.Inputs(corpus, vocabulary, base)
            made = extension_stage.run(recipe, parts_of_model, folder, reporter)
        case "training":  # train the rows and the adapters
            import ekle.training.stage as training_stage

            made = training_stage.run(recipe, training_stage.Inputs(corpus, extended), folder, reporter)
        case "control":  # train the base as it is, with as many operations
            import ekle.training.control as control_stage

            parts_of_run = control_stage.Inputs(corpus, base, extended, checkpoint)
            made = control_stage.run(recipe, parts_of_run, folder, reporter)
        case "evaluation":  # measure base and result with the same metrics
            import ekle.evaluation.stage as evaluation_stage

            inputs = evaluation_stage.Inputs(corpus, vocabulary, base, extended, checkpoint, control)
            made = evaluation_stage.run(recipe, inputs, folder, reporter)
        case "release":  # write the folder that is shipped
            import ekle.release.stage as release_stage

            parts = release_stage.Inputs(base, extended, checkpoint, scorecard)
            made = release_stage.run(recipe, parts, folder, reporter)
        case _:
            assert_never(stage)
    if made.folder != folder:
        raise AssertionError(f"the stage {stage} wrote {made.folder} and not {folder}")
