"""Scores of models in tasks, with intervals, and their paired differences from the first model.

Exact match and F1 of words are those of SQuAD (Rajpurkar et al. 2016).
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from statistics import fmean
from typing import Any

from ekle.evaluation.tasks.files import Language, Task
from ekle.evaluation.trust.intervals import ratio, share
from ekle.recipe.evaluation import EvaluationSettings
from ekle.turkish import casing

_ARTICLES = frozenset({"a", "an", "the"})


def score_answer(text: str, answers: Sequence[str], language: Language) -> dict[str, float]:
    """`exact_match` (0 or 1) and `f1` (0 to 1) against the one of `answers` that fits best.

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


METRICS = ("accuracy", "accuracy_bytes", "exact_match", "f1")

_MAIN = ("accuracy_bytes", "accuracy", "f1", "exact_match")


def main_score(task: Mapping[str, Any]) -> str:
    """The score that a task of report.json is judged by: a byte where choices have lengths, F1 where answers
    are written."""
    own = next(iter(task["models"].values()))
    return next(score for score in _MAIN if score in own)


def main_difference(task: Mapping[str, Any], model: str | None) -> dict[str, float] | None:
    """How much higher `model` scores than the first model; None for the first, or where it was not asked."""
    found: dict[str, float] | None = task["models"].get(model, {}).get(f"{main_score(task)}_difference")
    return found


def compare_tasks(
    tasks: Sequence[Task], scores: Mapping[str, Mapping[str, Mapping[str, Any]]], settings: EvaluationSettings
) -> dict[str, Any]:
    """The figures of each task, by its name.

    Args:
        tasks: what was asked.
        scores: by task, by model, what `harness.ask` returns; others are held against the first.
        settings: for the intervals.

    Returns:
        By task: `language`, `format`, `examples`, `shots`, `harness` (its version); where answers are chosen
        `chance`, the accuracy of guessing; and `models`, by model:
        `accuracy`: the likeliest choice is the right one;
        `accuracy_bytes`: likewise with ln p divided by the bytes of the choice, so that long choices have no
        disadvantage, in whatever vocabulary; absent where choices are letters;
        `exact_match`, `f1`: of written answers, see `answers.score_answer`;
        each with `NAME_difference`, own less the first model's, drawn over the same examples; absent for the
        first model; and `cut`, requests whose beginning the model had no room for, absent where none was cut.
        Intervals of shares are Wilson's, the others the bootstrap over examples.
    """
    figures: dict[str, Any] = {}
    for task in tasks:
        models: dict[str, Any] = {}
        first: Mapping[str, Any] | None = None
        for model, own in scores[task.name].items():
            first = first or own
            models[model] = _figures(task, own, None if own is first else first, settings)
        figures[task.name] = {
            "language": task.language,
            "format": task.format,
            "examples": len(task.asked),
            "shots": len(task.shown),
            "harness": version("lm_eval"),
            "models": models,
        }
        if task.format != "extraction":
            figures[task.name]["chance"] = fmean(1 / len(one.choices) for one in task.asked)
    return figures


def _figures(
    task: Task, own: Mapping[str, Any], first: Mapping[str, Any] | None, settings: EvaluationSettings
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in METRICS:
        if name not in own or (name == "accuracy_bytes" and task.lettered):
            continue
        values = own[name]
        whole = name != "f1"
        found[name] = share(round(sum(values)), len(values)) if whole else _mean(values, settings)
        if first is not None:
            differences = [now - before for now, before in zip(values, first[name], strict=True)]
            found[f"{name}_difference"] = _mean(differences, settings)
    return found | ({"cut": own["cut"]} if own["cut"] else {})


def _mean(values: Sequence[float], settings: EvaluationSettings) -> dict[str, float]:
    return ratio(values, [1] * len(values), settings.resamples, settings.seed)
