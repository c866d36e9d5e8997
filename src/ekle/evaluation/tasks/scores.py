"""Scores of models in tasks, with intervals, and their paired differences from the first model.

Exact match and F1 of words are those of SQuAD (Rajpurkar et al. 2016).
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import fmean

from ekle.artifacts.evaluation_report import Figure, Score, TaskResult, TaskScores
from ekle.evaluation.tasks.files import Language, Task
from ekle.evaluation.trust.intervals import ratio, share
from ekle.recipe.evaluation import EvaluationSettings
from ekle.turkish import casing

_ARTICLES = frozenset({"a", "an", "the"})


def score_answer(text: str, answers: Sequence[str], language: Language) -> dict[str, float]:
    """`exact_match` (0 or 1) and `f1` (0 to 1) against the best fitting of `answers`.

    Case and punctuation do not count; nor do articles in English. Turkish "bir" counts, because it is also a
    number, and a suffix belongs to its word: "Ankara'da" is not "Ankara".
    """
    found = _words(text, language)
    rights = [_words(answer, language) for answer in answers]
    return {
        "exact_match": float(any(found == right for right in rights)),
        "f1": max(_f1(found, right) for right in rights),
    }


def _f1(found: Sequence[str], right: Sequence[str]) -> float:
    common = (Counter(found) & Counter(right)).total()
    if not common:
        return float(not found and not right)
    precision, recall = common / len(found), common / len(right)
    return 2 * precision * recall / (precision + recall)


def _words(text: str, language: Language) -> list[str]:
    small = casing.lower(text) if language == "tr" else casing.plain_lower(text)
    bare = "".join(letter for letter in small if not unicodedata.category(letter).startswith("P"))
    return [word for word in bare.split() if language != "en" or word not in _ARTICLES]


@dataclass(frozen=True)
class AnswerScores:
    """What a model scores in a task, question by question."""

    by_score: dict[Score, list[float]]
    """`accuracy` and `accuracy_bytes`, or `exact_match` and `f1`, each from 0 to 1."""
    truncated: int
    """Requests that lost their beginning, because the context is too short."""


def compare_tasks(
    tasks: Sequence[Task],
    scores: Mapping[str, Mapping[str, AnswerScores]],
    settings: EvaluationSettings,
) -> dict[str, TaskResult]:
    """The figures of each task, by its name.

    Args:
        tasks: what was asked.
        scores: by task, by model, what `harness.ask` returns; others are compared with the first model.
        settings: for the intervals.
    """
    figures: dict[str, TaskResult] = {}
    for task in tasks:
        models: dict[str, TaskScores] = {}
        first: AnswerScores | None = None
        for model, own in scores[task.name].items():
            models[model] = _figures(task, own, first, settings)
            first = first or own
        chosen = task.format != "extraction"
        figures[task.name] = TaskResult(
            language=task.language,
            format=task.format,
            examples=len(task.asked),
            shots=len(task.shown),
            harness=version("lm_eval"),
            models=models,
            chance=fmean(1 / len(one.choices) for one in task.asked) if chosen else None,
            unanswered=task.unanswered or None,
        )
    return figures


def _figures(
    task: Task, own: AnswerScores, first: AnswerScores | None, settings: EvaluationSettings
) -> TaskScores:
    found: dict[str, Figure] = {}
    for name, values in own.by_score.items():
        if name == "accuracy_bytes" and task.lettered:
            continue
        whole = name != "f1"
        found[name] = share(round(sum(values)), len(values)) if whole else _mean(values, settings)
        if first is not None:
            differences = [now - before for now, before in zip(values, first.by_score[name], strict=True)]
            found[f"{name}_difference"] = _mean(differences, settings)
    return TaskScores.model_validate({**found, "truncated": own.truncated or None})


def _mean(values: Sequence[float], settings: EvaluationSettings) -> Figure:
    return ratio(values, [1] * len(values), settings.resamples, settings.seed)
