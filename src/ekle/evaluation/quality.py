"""The guide's criteria of quality: the language that the last model writes, and what it still knows."""

from collections.abc import Iterator, Mapping
from typing import Any

from ekle.evaluation.criterion import Criterion
from ekle.evaluation.names import last_of_ours, other_names
from ekle.evaluation.sentences import news
from ekle.evaluation.tasks.compare import main_difference
from ekle.page.wording import listed, percent, points

Figures = Mapping[str, Any]

_LOST = 0.01  # relative change of bits per byte
_REPEATED = 0.05


def language(figures: Figures) -> Iterator[Criterion]:
    """Of the Turkish that the last model generates."""
    generated = figures.get("generated", {})
    last = last_of_ours(generated)
    own = generated[last] if last else {}
    human = generated.get("held_out", {})
    why = "" if last else "no text was generated (evaluation.prompts, evaluation.samples)"
    for key, name, measured, limit, definition in (
        (
            "accepted",
            "Morphological accuracy",
            "morphology",
            0.9,
            "words that the model generates and the analyser accepts",
        ),
        (
            "harmony",
            "Vowel harmony",
            "harmony",
            0.95,
            "of these words, and those that vowels in harmony would make one, the share that obeys harmony",
        ),
    ):
        people = human.get("words", {}).get(key)
        yield Criterion(
            measured,
            "quality",
            name,
            f"> {limit:.0%}".replace("%", " %"),
            definition,
            own.get("words", {}).get(key),
            above=limit,
            why=why or "the model generated no such word",
            note=f"text that people wrote: {percent(people['value'])}" if people else "",
        )
    both = "repeated" in own and "repeated" in human
    spare = own["repeated"]["value"] - human["repeated"]["value"] if both else None
    yield Criterion(
        "coherence",
        "quality",
        "Coherent generation",
        "coherent",
        "samples that are told to be Turkish, more than 95 %; and of their runs of four words at most "
        f"{100 * _REPEATED:g} points more repeated than in text that people wrote",
        own.get("turkish") if spare is not None else None,
        above=0.95,
        also=spare is not None and spare <= _REPEATED,
        why=why or "the samples are too short to tell",
        note=f"{percent(own['repeated']['value'])} of the runs are repeated, in text that people wrote "
        f"{percent(human['repeated']['value'])}; signs of coherence, not coherence itself"
        if spare is not None
        else "",
    )


def knowledge(figures: Figures) -> Iterator[Criterion]:
    """Of what the base knew: other text, and tasks in English where some were asked."""
    likelihood = figures.get("likelihood", {})
    last = last_of_ours(likelihood)
    own = likelihood[last] if last else {}
    changes = {
        name: own[key]["change"] for name, key in other_names(figures).items() if "change" in own.get(key, {})
    }
    worst = max(changes, key=lambda name: changes[name]["value"], default=None)
    asked = {
        name: change
        for name, part in figures.get("tasks", {}).items()
        if part["language"] == "en" and (change := main_difference(part, last)) is not None
    }
    lost = [f"{name} {points(change['value'])}" for name, change in asked.items() if news(change) == "bad"]
    if asked:
        told = (
            f"clearly worse in English tasks: {listed(lost)}" if lost else "in no English task clearly worse"
        )
    else:
        told = "tasks in English would say more than likelihood"
    yield Criterion(
        "knowledge",
        "quality",
        "Knowledge of the base preserved",
        "preserved",
        f"the text in another language, or code, that loses most: less than {percent(_LOST)} more bits per "
        "byte than the base needs; and in no English task that was asked a clear loss, the interval of the "
        "paired difference below 0",
        changes[worst] if worst else None,
        below=_LOST,
        also=not lost,
        why="no text in other languages was read by a model and its base" + (f"; {told}" if asked else ""),
        note=f"{worst}; {told}" if worst else "",
    )
