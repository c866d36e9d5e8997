"""What is measured. Faults are refused before the first measurement, which may take hours."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import ALL_HELD_OUT, Provenance
from ekle.errors import InputError
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.evaluation.model.translation import choose_pairs, read_pairs
from ekle.evaluation.tasks.files import Task, read_tasks
from ekle.evaluation.texts import Texts
from ekle.evaluation.trust.provenance import EarlierStages
from ekle.recipe.evaluation import EvaluationSettings
from ekle.text.documents import TextReader
from ekle.turkish.gold import read_gold


@dataclass(frozen=True)
class EvaluationPlan:
    """Models and tokenizers, text, and how much of it. The first of `models` is the base, with which the
    others are compared."""

    title: str
    base: Tokenizer
    extended: Tokenizer
    models: Sequence[EvaluatedModel]
    texts: Texts
    settings: EvaluationSettings
    stamp: str
    """What finished parts must have been measured on to be used again; see `cache.stamp_of`."""
    provenance: Provenance
    """Where the figures come from."""
    peers: Mapping[str, Tokenizer] = field(default_factory=dict)
    """Tokenizers of others, by name."""
    tasks: Sequence[Task] = ()
    """Questions with right answers, read and checked."""
    learned_from: Sequence[Path] = ()
    """Files and folders of text that vocabulary or training has seen."""
    reader: TextReader = field(default_factory=TextReader)
    """Reads those of them that the user named."""
    own: Collection[Path] = ()
    """Those of them that ekle wrote."""
    record: Path | None = None
    """extension.json of the extended model, whose bytes are then checked against it."""
    earlier: EarlierStages = field(default_factory=EarlierStages)
    """What earlier stages reported."""

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """All of them by name, the base and the extended one first."""
        return {"base": self.base, "extended": self.extended, **self.peers}


def evaluated_texts(plan: EvaluationPlan) -> dict[str, Sequence[str]]:
    """By name, every text that is measured on: also questions and sentences for the models."""
    found: dict[str, Sequence[str]] = {**plan.texts.all}
    if not plan.models:
        return found
    found |= {f"task: {task.name}": [one.question for one in task.asked] for task in plan.tasks}
    if plan.settings.parallel:
        _, pairs = choose_pairs(read_pairs(plan.settings.parallel), plan.settings)
        for place, language in enumerate(("Turkish", "English")):
            found[f"translation: {language}"] = [pair[place] for pair in pairs]
    return found


def read_named_files(settings: EvaluationSettings) -> list[Task]:
    """Read every file that the settings name; returns the tasks.

    Raises:
        InputError: as `read_tasks`.
        TextError: gold or pairs are not there, or not in a known form.
    """
    tasks = read_tasks(settings)
    for file in settings.gold:
        read_gold(Path(file))
    if settings.parallel:
        choose_pairs(read_pairs(settings.parallel), settings)
    return tasks


def check_text_names(names: Iterable[str]) -> None:
    """See that no text has the name that a report gives to all of them.

    Raises:
        InputError: one has.
    """
    if ALL_HELD_OUT in names:
        raise InputError(f"{ALL_HELD_OUT} is the name of all texts as one; give that text another name")
