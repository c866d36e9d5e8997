"""What is measured on each model in turn, and then on two of them side by side."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

from ekle.artifacts.evaluation_report import (
    HUMAN_TEXT,
    Direction,
    Figure,
    GeneratedText,
    GreedySample,
    Inference,
    ModelSize,
    TaskResult,
    TextDivergence,
    TextLikelihood,
    Translation,
    furthest_model,
)
from ekle.evaluation.cache import FigureCache
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.evaluation.model.divergence import (
    BaseStates,
    Divergences,
    collect_base_states,
    compare_divergence,
    measure_divergence,
)
from ekle.evaluation.model.generated_text import Sample, mean_words, measure_generated
from ekle.evaluation.model.generation import choose_prompts, generate_greedy, generate_sampled
from ekle.evaluation.model.likelihood import Losses, compare_losses, measure_losses
from ekle.evaluation.model.speed import Speeds, measure_memory, measure_speeds
from ekle.evaluation.model.translation import (
    Translations,
    choose_pairs,
    read_pairs,
    score_translations,
    translate,
)
from ekle.evaluation.plan import EvaluationPlan
from ekle.evaluation.tasks.files import Task
from ekle.evaluation.tasks.scores import AnswerScores, compare_tasks
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.trust.intervals import ratio
from ekle.model.scoring.bits_per_byte import measure_documents
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings


@dataclass(frozen=True)
class ModelFigures:
    """The keys of the report that need a model; None where nothing was measured."""

    models: dict[str, ModelSize] | None = None
    likelihood: dict[str, dict[str, TextLikelihood]] | None = None
    divergence: dict[str, dict[str, TextDivergence]] | None = None
    generation: dict[str, list[GreedySample]] | None = None
    generated: dict[str, GeneratedText] | None = None
    translation: dict[str, dict[Direction, Translation]] | None = None
    tasks: dict[str, TaskResult] | None = None
    inference: Inference | None = None


def measure_models(plan: EvaluationPlan, parts: FigureCache, reporter: ProgressReporter) -> ModelFigures:
    """Everything that needs a model; one is in memory at a time, except when speeds are compared."""
    if not plan.models:
        return ModelFigures()
    for task in plan.tasks:
        if task.unanswered:
            questions = "1 question" if task.unanswered == 1 else f"{task.unanswered:,} questions"
            reporter.say(f"task {task.name}: left out {questions} without a right answer in the file")
    measured = _Measured(plan, parts, reporter)
    for evaluated in plan.models:
        reporter.say(f"Measuring the {evaluated.name} model")
        measured.one(evaluated)
        evaluated.close()
    figures = measured.compared()
    base, last = plan.models[0], _last(plan.models)
    if figures.generated:
        judged = parts.get(
            "judged",
            dict[str, Figure],
            lambda: _bits_per_byte_of_generated(base, measured.written(), plan.settings, reporter),
        )
        generated = {
            name: own.model_copy(update={"bits_per_byte": judged.get(name)})
            for name, own in figures.generated.items()
        }
        figures = replace(figures, generated=generated)
    if plan.texts.held_out and last is not base:
        inference = _inference(plan, base, last, measured.sizes, parts, reporter)
        figures = replace(figures, inference=inference)
    for evaluated in plan.models:
        evaluated.close()
    return figures


class _Measured:
    """The raw figures by model, and the comparison of the models."""

    def __init__(self, plan: EvaluationPlan, parts: FigureCache, reporter: ProgressReporter) -> None:
        self._plan, self._parts, self._reporter = plan, parts, reporter
        self._reference: BaseStates | None = None
        self._shown, self._pairs = (
            choose_pairs(read_pairs(plan.settings.parallel), plan.settings)
            if plan.settings.parallel
            else ([], [])
        )
        self._prompts = choose_prompts(plan.texts.held_out, plan.settings)
        self.sizes: dict[str, ModelSize] = {}
        self.losses: dict[str, Losses] = {}
        self.divergences: dict[str, Divergences] = {}
        self.greedy: dict[str, list[GreedySample]] = {}
        self.samples: dict[str, list[Sample]] = {}
        self.translations: dict[str, Translations] = {}
        self.tasks: dict[str, dict[str, AnswerScores]] = defaultdict(dict)

    def one(self, evaluated: EvaluatedModel) -> None:
        """Measure one model, which is loaded only if a part is missing."""
        name, settings, reporter = evaluated.name, self._plan.settings, self._reporter
        texts, get = self._plan.texts, self._parts.get
        base, *others = self._plan.models
        self.sizes[name] = get(f"size-{name}", ModelSize, evaluated.size)
        if texts.all:
            self.losses[name] = get(
                f"likelihood-{name}",
                Losses,
                lambda: measure_losses(*evaluated.loaded, texts.all, settings, reporter),
            )
        if texts.other and evaluated is not base:
            self.divergences[name] = get(
                f"divergence-{name}", Divergences, lambda: self._divergence(evaluated)
            )
        elif texts.other and any(
            not self._parts.has(f"divergence-{one.name}", Divergences) for one in others
        ):
            self._reference = collect_base_states(*evaluated.loaded, texts.other, settings)
        if settings.prompts:
            self.greedy[name] = get(
                f"generation-{name}",
                list[GreedySample],
                lambda: generate_greedy(*evaluated.loaded, settings, reporter),
            )
        if self._prompts:
            self.samples[name] = get(
                f"samples-{name}",
                list[Sample],
                lambda: generate_sampled(*evaluated.loaded, self._prompts, settings, reporter),
            )
        if self._pairs:
            self.translations[name] = get(
                f"translation-{name}",
                Translations,
                lambda: translate(*evaluated.loaded, self._shown, self._pairs, settings, reporter),
            )
        for task in self._plan.tasks:
            # Names of both may hold "-", and neither "=".
            self.tasks[task.name][name] = get(
                f"task-{task.name}={name}", AnswerScores, partial(self._ask, evaluated, task)
            )

    def compared(self) -> ModelFigures:
        """The figures by model, compared with the base's."""
        plan, settings = self._plan, self._plan.settings
        generated = measure_generated(self.samples, self._people(), settings) if self.samples else None
        return ModelFigures(
            models=self.sizes,
            likelihood=compare_losses(self.losses, list(plan.texts.held_out), settings) or None,
            divergence=compare_divergence(self.divergences, settings) or None,
            generation=self.greedy or None,
            generated=generated,
            translation=score_translations(self.translations, self._pairs, settings) or None,
            tasks=compare_tasks(plan.tasks, self.tasks, settings) or None,
        )

    def written(self) -> dict[str, list[str]]:
        """What each model has written, prompts included, and as many texts of the same length by people: the
        beginnings of held-out documents."""
        texts = {
            name: [sample.prompt + sample.text for sample in drawn] for name, drawn in self.samples.items()
        }
        length = mean_words(text for own in texts.values() for text in own)
        people = [words[:length] for text in self._people() if len(words := text.split()) >= length]
        return texts | {HUMAN_TEXT: [" ".join(words) for words in people[: len(self._prompts)]]}

    def _people(self) -> list[str]:
        """Held-out documents, from each text in turn; of each text as many bytes as the models read."""
        settings = self._plan.settings
        drawn = (
            sample_documents(part, settings.bytes_per_text, settings.seed)
            for part in self._plan.texts.held_out.values()
        )
        return [text for turn in zip_longest(*drawn) for text in turn if text is not None]

    def _ask(self, evaluated: EvaluatedModel, task: Task) -> AnswerScores:
        # The harness is an extra, and takes seconds to import.
        from ekle.evaluation.tasks.harness import ask

        return ask(*evaluated.loaded, task, self._plan.settings, self._reporter)

    def _divergence(self, evaluated: EvaluatedModel) -> Divergences:
        assert self._reference is not None  # read where a part like this is missing
        return measure_divergence(self._reference, *evaluated.loaded, self._plan.settings, self._reporter)


def _last(models: Sequence[EvaluatedModel]) -> EvaluatedModel:
    """The last of our models, in the order in which ekle makes them."""
    name = furthest_model(evaluated.name for evaluated in models)
    return next(evaluated for evaluated in models if evaluated.name == name)


def _bits_per_byte_of_generated(
    base: EvaluatedModel,
    written: Mapping[str, Sequence[str]],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> dict[str, Figure]:
    """By writer, the bits per byte that the base needs to read the texts; absent where there are none."""
    found = {}
    reporter.say("Reading what was generated with the base model")
    for name, texts in written.items():
        if not any(texts):
            continue
        read = measure_documents(
            *base.loaded, texts, context=settings.context, batch_size=settings.batch_size
        )
        bits = [part.nats / math.log(2) for part in read]
        found[name] = ratio(bits, [part.bytes for part in read], settings.resamples, settings.seed)
    return found


def _inference(
    plan: EvaluationPlan,
    base: EvaluatedModel,
    last: EvaluatedModel,
    sizes: Mapping[str, ModelSize],
    parts: FigureCache,
    reporter: ProgressReporter,
) -> Inference:
    settings, texts = plan.settings, plan.texts.held_out
    speeds = Speeds()
    if settings.speed_passages:
        reporter.say(f"Timing the base and the {last.name} model")
        speeds = parts.get("speeds", Speeds, lambda: measure_speeds([base, last], texts, settings, reporter))
    memory = measure_memory(
        {base.name: base.folder, last.name: last.folder},
        [plan.base, plan.extended],
        texts,
        {one.name: sizes[one.name].weight_bytes for one in (base, last)},
        settings,
    )
    return Inference(models=[base.name, last.name], **vars(speeds), **vars(memory))
