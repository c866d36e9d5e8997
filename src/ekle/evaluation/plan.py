"""What is to be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.evaluation.subjects import Subject
from ekle.evaluation.tasks.files import Task
from ekle.evaluation.texts import Texts
from ekle.evaluation.translation import choose_pairs, read_pairs
from ekle.recipe.evaluation import Evaluation


@dataclass(frozen=True)
class Plan:
    """Models and tokenizers, text, and how much of it; the first of `subjects` is the base, which the others
    are held against."""

    title: str
    base: Tokenizer
    extended: Tokenizer
    subjects: Sequence[Subject]
    texts: Texts
    settings: Evaluation
    stamp: str
    """What finished parts must have been measured on to be used again; see `parts.stamp_of`."""
    provenance: dict[str, Any]
    """An entry of report.json; see `provenance.provenance`."""
    beside: Mapping[str, Tokenizer] = field(default_factory=dict)
    """Tokenizers of others, by name."""
    tasks: Sequence[Task] = ()
    """Questions with right answers, read and checked."""
    learned_from: Sequence[Path] = ()
    """Files and folders of text that vocabulary or training has seen."""
    record: Path | None = None
    """extension.json of the extended model, whose bytes are then checked against it."""
    known: dict[str, Any] = field(default_factory=dict)
    """Further entries of report.json that need no measuring, such as `vocabulary`."""

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """All of them by name, the base and the extended one first."""
        return {"base": self.base, "extended": self.extended, **self.beside}


def measured_on(plan: Plan) -> dict[str, Sequence[str]]:
    """By name, every text that a figure is taken on: also the questions and the sentences that models get."""
    found: dict[str, Sequence[str]] = {**plan.texts.all}
    if not plan.subjects:
        return found
    found |= {f"task: {task.name}": [one.question for one in task.asked] for task in plan.tasks}
    if plan.settings.parallel:
        _, pairs = choose_pairs(read_pairs(plan.settings.parallel), plan.settings)
        for place, language in enumerate(("Turkish", "English")):
            found[f"translation: {language}"] = [pair[place] for pair in pairs]
    return found
