"""What is measured on each model in turn, and then on two of them together."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from ekle.evaluation.cache import FigureCache
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.evaluation.model.divergence import (
    BaseStates,
    Divergences,
    collect_base_states,
    compare_divergence,
    measure_divergence,
)
from ekle.evaluation.model.generated_text import mean_words, measure_generated
from ekle.evaluation.model.generation import choose_prompts, generate_greedy, generate_sampled
from ekle.evaluation.model.likelihood import Losses, compare_losses, measure_losses
from ekle.evaluation.model.speed import measure_memory, measure_speeds
from ekle.evaluation.model.translation import choose_pairs, read_pairs, score_translations, translate
from ekle.evaluation.names import HUMAN_TEXT, furthest_model
from ekle.evaluation.plan import EvaluationPlan
from ekle.evaluation.tasks.files import Task
from ekle.evaluation.tasks.scores import compare_tasks
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.trust.intervals import ratio
from ekle.model.scoring.bits_per_byte import measure_documents
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings

Samples = list[dict[str, Any]]


def measure_models(plan: EvaluationPlan, parts: FigureCache, reporter: ProgressReporter) -> dict[str, Any]:
    """Everything that needs a model; one is in memory at a time, but for the comparison of speed.

    Returns:
        `models`, `likelihood`, `divergence`, `generation`, `generated`, `translation`, by model,
        `tasks`, by task, and `inference`; what was not measured is absent.
    """
    if not plan.models:
        return {}
    measured = _Measured(plan, parts, reporter)
    for evaluated in plan.models:
        reporter.say(f"Measuring the {evaluated.name} model")
        measured.one(evaluated)
        evaluated.close()
    figures = measured.compared()
    base, last = plan.models[0], _last(plan.models)
    if measured.samples:
        judged = parts.get(
            "judged", lambda: _bits_per_byte_of_generated(base, measured.written(), plan.settings, reporter)
        )
        for name, bits in judged.items():
            figures["generated"][name]["bits_per_byte"] = bits
    if plan.texts.held_out and last is not base:
        figures["inference"] = _inference(plan, base, last, figures["models"], parts, reporter)
    for evaluated in plan.models:
        evaluated.close()
    return {key: found for key, found in figures.items() if found}


class _Measured:
    """The raw figures by model, and what they come to when models are compared."""

    def __init__(self, plan: EvaluationPlan, parts: FigureCache, reporter: ProgressReporter) -> None:
        self._plan, self._parts, self._reporter = plan, parts, reporter
        self._reference: BaseStates | None = None
        self._shown, self._pairs = (
            choose_pairs(read_pairs(plan.settings.parallel), plan.settings)
            if plan.settings.parallel
            else ([], [])
        )
        self._prompts = choose_prompts(plan.texts.held_out, plan.settings)
        self.sizes: dict[str, dict[str, int]] = {}
        self.losses: dict[str, Losses] = {}
        self.divergences: dict[str, Divergences] = {}
        self.greedy: dict[str, Samples] = {}
        self.samples: dict[str, Samples] = {}
        self.translations: dict[str, dict[str, list[str]]] = {}
        self.tasks: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    def one(self, evaluated: EvaluatedModel) -> None:
        """Measure one model, which is loaded only if a part is missing."""
        name, settings, reporter = evaluated.name, self._plan.settings, self._reporter
        texts, get = self._plan.texts, self._parts.get
        base, *others = self._plan.models
        self.sizes[name] = get(f"size-{name}", evaluated.size)
        if texts.all:
            self.losses[name] = get(
                f"likelihood-{name}",
                lambda: measure_losses(*evaluated.loaded, texts.all, settings, reporter),
            )
        if texts.other and evaluated is not base:
            self.divergences[name] = get(f"divergence-{name}", lambda: self._divergence(evaluated))
        elif texts.other and any(not self._parts.has(f"divergence-{one.name}") for one in others):
            self._reference = collect_base_states(*evaluated.loaded, texts.other, settings)
        if settings.prompts:
            self.greedy[name] = get(
                f"generation-{name}", lambda: generate_greedy(*evaluated.loaded, settings, reporter)
            )
        if self._prompts:
            self.samples[name] = get(
                f"samples-{name}",
                lambda: generate_sampled(*evaluated.loaded, self._prompts, settings, reporter),
            )
        if self._pairs:
            self.translations[name] = get(
                f"translation-{name}",
                lambda: translate(*evaluated.loaded, self._shown, self._pairs, settings, reporter),
            )
        for task in self._plan.tasks:
            # Names of both may hold "-", and neither "=".
            self.tasks[task.name][name] = get(f"task-{task.name}={name}", partial(self._ask, evaluated, task))

    def compared(self) -> dict[str, Any]:
        """The figures by model, held against the base's."""
        plan, settings = self._plan, self._plan.settings
        return {
            "models": self.sizes,
            "likelihood": compare_losses(self.losses, list(plan.texts.held_out), settings),
            "divergence": compare_divergence(self.divergences, settings),
            "generation": self.greedy,
            "generated": measure_generated(self.samples, self._people(), settings) if self.samples else {},
            "translation": score_translations(self.translations, self._pairs, settings),
            "tasks": compare_tasks(plan.tasks, self.tasks, settings),
        }

    def written(self) -> dict[str, list[str]]:
        """What each model has written, prompts included, and as much by people: the beginnings of other
        documents, as many and as long."""
        texts = {
            name: [sample["prompt"] + sample["text"] for sample in drawn]
            for name, drawn in self.samples.items()
        }
        length = mean_words(text for own in texts.values() for text in own)
        people = [words[:length] for text in self._people() if len(words := text.split()) >= length]
        return texts | {HUMAN_TEXT: [" ".join(words) for words in people[: len(self._prompts)]]}

    def _people(self) -> list[str]:
        """Held-out documents, of each text as many bytes as the models read, the texts in turn."""
        settings = self._plan.settings
        drawn = (
            sample_documents(part, settings.bytes_per_text, settings.seed)
            for part in self._plan.texts.held_out.values()
        )
        return [text for turn in zip_longest(*drawn) for text in turn if text is not None]

    def _ask(self, evaluated: EvaluatedModel, task: Task) -> dict[str, Any]:
        # The harness is an extra, and takes seconds to import.
        from ekle.evaluation.tasks.harness import ask

        return ask(*evaluated.loaded, task, self._plan.settings, self._reporter)

    def _divergence(self, evaluated: EvaluatedModel) -> Divergences:
        assert self._reference is not None  # read where a part like this is missing
        return measure_divergence(self._reference, *evaluated.loaded, self._plan.settings, self._reporter)


def _last(models: Sequence[EvaluatedModel]) -> EvaluatedModel:
    """The one of our models that came furthest."""
    name = furthest_model(evaluated.name for evaluated in models)
    return next(evaluated for evaluated in models if evaluated.name == name)


def _bits_per_byte_of_generated(
    base: EvaluatedModel,
    written: Mapping[str, Sequence[str]],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> dict[str, dict[str, float]]:
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
    sizes: Mapping[str, Mapping[str, int]],
    parts: FigureCache,
    reporter: ProgressReporter,
) -> dict[str, Any]:
    settings, texts = plan.settings, plan.texts.held_out
    found: dict[str, Any] = {"models": [base.name, last.name]}
    if settings.speed_passages:
        reporter.say(f"Timing the base and the {last.name} model")
        found |= parts.get("speeds", lambda: measure_speeds([base, last], texts, settings, reporter))
    return found | measure_memory(
        {base.name: base.folder, last.name: last.folder},
        [plan.base, plan.extended],
        texts,
        {one.name: sizes[one.name]["weight_bytes"] for one in (base, last)},
        settings,
    )
