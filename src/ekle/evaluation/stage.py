"""Stage 6, evaluation, in a run: measure the base, the extended and the trained model."""

from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import BaseModel, Checkpoint, Corpus, ExtendedModel, Scorecard, Vocabulary
from ekle.artifacts.evaluation_report import CONTROL
from ekle.bpe.base import load_tokenizer
from ekle.evaluation.cache import stamp_of
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.evaluation.plan import EvaluationPlan, check_text_names
from ekle.evaluation.run import run_evaluation
from ekle.evaluation.tasks.files import read_tasks
from ekle.evaluation.texts import corpus_texts
from ekle.evaluation.trust.preservation import extension_record
from ekle.evaluation.trust.provenance import EarlierStages, provenance, training_logs, vocabulary_summary
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe


@dataclass(frozen=True)
class Inputs:
    """What the stage needs from the stages before it."""

    corpus: Corpus
    vocabulary: Vocabulary
    base: BaseModel
    extended: ExtendedModel
    checkpoint: Checkpoint
    control: Checkpoint | None = None
    """The base after training with its own tokenizer, where the run has that."""


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> Scorecard:
    """Measure the base, the extended and the trained model, and a control, on the corpus's held-out text.

    `folder` gets report.json, report.html, and parts/ with what is finished. Parts of an interrupted run
    are used again if they were measured on the same inputs.

    Raises:
        InputError: a text has a name that the report needs itself.
        CheckpointError: a model cannot be loaded, is broken, or does not belong to its tokenizer.
    """
    texts = corpus_texts(inputs.corpus)
    check_text_names(texts.all)
    base, extended = load_tokenizer(inputs.base.model), load_tokenizer(inputs.extended.model)
    control = inputs.control
    origin = provenance(
        {
            "base": inputs.base.name,
            "extended": inputs.extended.model,
            "trained": inputs.checkpoint.folder,
            **({CONTROL: control.folder} if control else {}),
        },
        {"base": base, "extended": extended},
        recipe.evaluation,
    )
    record = extension_record(inputs.extended.model)
    plan = EvaluationPlan(
        title=recipe.name,
        base=base,
        extended=extended,
        models=[
            EvaluatedModel("base", inputs.base.model),
            EvaluatedModel("extended", inputs.extended.model),
            EvaluatedModel("trained", inputs.extended.model, inputs.checkpoint),
            *([EvaluatedModel(CONTROL, inputs.base.model, control)] if control else []),
        ],
        texts=texts,
        settings=recipe.evaluation,
        stamp=stamp_of(
            {"settings": recipe.evaluation.model_dump(), "provenance": origin.dump()},
            [
                inputs.corpus.folder,
                inputs.base.model,
                inputs.extended.model,
                inputs.checkpoint.adapter,
                inputs.checkpoint.rows,
                *([control.adapter] if control else []),
                *map(Path, recipe.evaluation.files),
                *([record] if record else []),
            ],
        ),
        provenance=origin,
        tasks=read_tasks(recipe.evaluation),
        learned_from=inputs.corpus.learned_from(recipe.training.instruction_share),
        record=record,
        earlier=EarlierStages(
            vocabulary_summary(inputs.vocabulary.report),
            training_logs(inputs.base, inputs.checkpoint, control),
        ),
    )
    return run_evaluation(plan, folder, reporter)
