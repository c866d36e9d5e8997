"""What is measured on each model in turn, and then on two of them together."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from ekle.evaluation.coherence import mean_words, measure_generated
from ekle.evaluation.confidence import ratio
from ekle.evaluation.divergence import (
    Divergences,
    Reference,
    compare_divergence,
    measure_divergence,
    read_reference,
)
from ekle.evaluation.generation import choose_prompts, draw_samples, generate_samples
from ekle.evaluation.inference import measure_memory, measure_speeds
from ekle.evaluation.likelihood import Losses, compare_losses, measure_losses
from ekle.evaluation.names import PEOPLE, last_of_ours
from ekle.evaluation.parts import Parts
from ekle.evaluation.plan import Plan
from ekle.evaluation.subjects import Subject
from ekle.evaluation.tasks.compare import compare_tasks
from ekle.evaluation.tasks.files import Task
from ekle.evaluation.texts import draw
from ekle.evaluation.translation import choose_pairs, read_pairs, score_translations, translate
from ekle.model.bits_per_byte import measure_documents
from ekle.progress import Report
from ekle.recipe.evaluation import Evaluation

Samples = list[dict[str, Any]]


def measure_models(plan: Plan, parts: Parts, report: Report) -> dict[str, Any]:
    """Everything that needs a model; one is in memory at a time, but for the comparison of speed.

    Returns:
        `models`, `likelihood`, `divergence`, `generation`, `generated`, `translation`, by model,
        `tasks`, by task, and `inference`; what was not measured is absent.
    """
    if not plan.subjects:
        return {}
    measured = _Measured(plan, parts, report)
    for subject in plan.subjects:
        report.say(f"Measuring the {subject.name} model")
        measured.one(subject)
        subject.close()
    figures = measured.compared()
    base, last = plan.subjects[0], _last(plan.subjects)
    if measured.samples:
        judged = parts.get("judged", lambda: _judge(base, measured.written(), plan.settings, report))
        for name, bits in judged.items():
            figures["generated"][name]["bits_per_byte"] = bits
    if plan.texts.held_out and last is not base:
        figures["inference"] = _inference(plan, base, last, figures["models"], parts, report)
    for subject in plan.subjects:
        subject.close()
    return {key: found for key, found in figures.items() if found}


class _Measured:
    """The raw figures by model, and what they come to when models are compared."""

    def __init__(self, plan: Plan, parts: Parts, report: Report) -> None:
        self._plan, self._parts, self._report = plan, parts, report
        self._reference: Reference | None = None
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

    def one(self, subject: Subject) -> None:
        """Measure one model, which is loaded only if a part is missing."""
        name, settings, report = subject.name, self._plan.settings, self._report
        texts, get = self._plan.texts, self._parts.get
        base, *others = self._plan.subjects
        self.sizes[name] = get(f"size-{name}", subject.size)
        if texts.all:
            self.losses[name] = get(
                f"likelihood-{name}",
                lambda: measure_losses(*subject.loaded, texts.all, settings, report),
            )
        if texts.other and subject is not base:
            self.divergences[name] = get(f"divergence-{name}", lambda: self._divergence(subject))
        elif texts.other and any(not self._parts.has(f"divergence-{one.name}") for one in others):
            self._reference = read_reference(*subject.loaded, texts.other, settings)
        if settings.prompts:
            self.greedy[name] = get(
                f"generation-{name}", lambda: generate_samples(*subject.loaded, settings, report)
            )
        if self._prompts:
            self.samples[name] = get(
                f"samples-{name}", lambda: draw_samples(*subject.loaded, self._prompts, settings, report)
            )
        if self._pairs:
            self.translations[name] = get(
                f"translation-{name}",
                lambda: translate(*subject.loaded, self._shown, self._pairs, settings, report),
            )
        for task in self._plan.tasks:
            # Names of both may hold "-", and neither "=".
            self.tasks[task.name][name] = get(f"task-{task.name}={name}", partial(self._ask, subject, task))

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
        return texts | {PEOPLE: [" ".join(words) for words in people[: len(self._prompts)]]}

    def _people(self) -> list[str]:
        """Held-out documents, of each text as many bytes as the models read, the texts in turn."""
        settings = self._plan.settings
        drawn = (
            draw(part, settings.bytes_per_text, settings.seed) for part in self._plan.texts.held_out.values()
        )
        return [text for turn in zip_longest(*drawn) for text in turn if text is not None]

    def _ask(self, subject: Subject, task: Task) -> dict[str, Any]:
        # The harness is an extra, and takes seconds to import.
        from ekle.evaluation.tasks.harness import ask

        return ask(*subject.loaded, task, self._plan.settings, self._report)

    def _divergence(self, subject: Subject) -> Divergences:
        assert self._reference is not None  # read where a part like this is missing
        return measure_divergence(self._reference, *subject.loaded, self._plan.settings, self._report)


def _last(subjects: Sequence[Subject]) -> Subject:
    """The one of our models that came furthest."""
    name = last_of_ours(subject.name for subject in subjects)
    return next(subject for subject in subjects if subject.name == name)


def _judge(
    base: Subject, written: Mapping[str, Sequence[str]], settings: Evaluation, report: Report
) -> dict[str, dict[str, float]]:
    """By writer, the bits per byte that the base needs to read the texts; absent where there are none."""
    found = {}
    report.say("Reading what was generated with the base model")
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
    plan: Plan,
    base: Subject,
    last: Subject,
    sizes: Mapping[str, Mapping[str, int]],
    parts: Parts,
    report: Report,
) -> dict[str, Any]:
    settings, texts = plan.settings, plan.texts.held_out
    found: dict[str, Any] = {"models": [base.name, last.name]}
    if settings.speed_passages:
        report.say(f"Timing the base and the {last.name} model")
        found |= parts.get("speeds", lambda: measure_speeds([base, last], texts, settings, report))
    return found | measure_memory(
        {base.name: base.folder, last.name: last.folder},
        [plan.base, plan.extended],
        texts,
        {one.name: sizes[one.name]["weight_bytes"] for one in (base, last)},
        settings,
    )
