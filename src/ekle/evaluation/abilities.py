"""What the verdict says about what the last model can do: answer, translate, and write Turkish."""

from collections.abc import Iterator, Mapping
from typing import Any

from ekle.evaluation.names import last_of_ours
from ekle.evaluation.sentences import Kind, Sentence, news
from ekle.evaluation.tasks.compare import main_difference
from ekle.page.wording import LANGUAGES, listed, percent, points

Figures = Mapping[str, Any]

_DIRECTIONS = {"tr-en": "Turkish to English", "en-tr": "English to Turkish"}
_WRITING = {
    "morphology": "an analyser accepts {value} of its words",
    "harmony": "{value} of its words obey vowel harmony",
    "coherence": "{value} of its samples are Turkish and {repeated} of its runs of four words repeated",
}
"""By key of the criterion, how a figure of generated text is told."""

_Changes = Mapping[str, Mapping[str, float]]
"""By what was asked, the paired difference from the base, with its interval where that is known."""


def abilities(figures: Figures) -> Iterator[Sentence]:
    """The sentences about tasks, translation and generated text that `figures` support."""
    yield from _tasks(figures)
    yield from _translation(figures)
    yield from _writing(figures)


def _tasks(figures: Figures) -> Iterator[Sentence]:
    """Tasks that the last model does clearly better or worse than the base, those that it loses first."""
    tasks = figures.get("tasks", {})
    last = last_of_ours(name for part in tasks.values() for name in part["models"])
    changes = {
        f"{name} ({LANGUAGES[part['language']]})": change
        for name, part in tasks.items()
        if (change := main_difference(part, last)) is not None
    }
    yield from _told(
        changes,
        1.0,
        {
            "bad": f"In tasks the {last} model scores clearly lower than the base: {{}}.",
            "good": f"In tasks the {last} model scores clearly higher than the base: {{}}.",
            "plain": f"In these tasks the {last} model cannot be told apart from the base: {{}}.",
        },
    )


def _translation(figures: Figures) -> Iterator[Sentence]:
    """By chrF, which counts parts of words and so suits a language of long words."""
    found = figures.get("translation", {})
    last = last_of_ours(found)
    changes = {
        _DIRECTIONS[way]: part["chrf_change"]
        for way, part in (found[last] if last else {}).items()
        if "chrf_change" in part
    }
    yield from _told(
        changes,
        0.01,
        {
            "bad": f"The {last} model translates clearly worse than the base, by chrF: {{}}.",
            "good": f"The {last} model translates clearly better than the base, by chrF: {{}}.",
            "plain": f"In translation, by chrF, the {last} model cannot be told apart from the base: {{}}.",
        },
    )


def _told(changes: _Changes, unit: float, words: Mapping[Kind, str]) -> Iterator[Sentence]:
    """A sentence for each kind of news among `changes`; `unit` is what makes them shares of 1."""
    for kind, text in words.items():
        items = [
            f"{name} {points(unit * change['value'])}"
            for name, change in changes.items()
            if news(change) == kind
        ]
        if items:
            yield Sentence(kind, text.format(listed(items)))


def _writing(figures: Figures) -> Iterator[Sentence]:
    """What of the text that the last model generates misses the guide's targets."""
    generated = figures.get("generated", {})
    last = last_of_ours(generated)
    repeated = generated[last].get("repeated") if last else None
    said = {"repeated": percent(repeated["value"])} if repeated else {}
    missed = [
        row for row in figures.get("criteria", []) if row["key"] in _WRITING and not row.get("met", True)
    ]
    kinds: tuple[tuple[Kind, bool], ...] = (("bad", True), ("plain", False))
    for kind, certain in kinds:
        items = [
            _WRITING[row["key"]].format(value=percent(row["value"]["value"]), **said)
            + f" (asked: {row['target']})"
            for row in missed
            if row.get("certain", False) == certain
        ]
        if items:
            doubt = "" if certain else ", though the intervals reach across them or are not known"
            text = f"The {last} model's own text misses targets of the guide{doubt}: {listed(items)}."
            yield Sentence(kind, text)
