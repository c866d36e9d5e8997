"""What is refused before anything is measured, because what comes first may take hours."""

from collections.abc import Iterable
from pathlib import Path

from ekle.errors import InputError
from ekle.evaluation.names import TOGETHER
from ekle.evaluation.tasks.files import Task, read_tasks
from ekle.evaluation.translation import choose_pairs, read_pairs
from ekle.recipe.evaluation import Evaluation
from ekle.turkish.gold import read_gold


def read_inputs(settings: Evaluation) -> list[Task]:
    """Read every file that the settings name; returns the tasks.

    Raises:
        InputError: as `read_tasks`.
        TextError: gold or pairs are not there, or not in a form that is known.
    """
    tasks = read_tasks(settings)
    for file in settings.gold:
        read_gold(Path(file))
    if settings.parallel:
        choose_pairs(read_pairs(settings.parallel), settings)
    return tasks


def check_text_names(names: Iterable[str]) -> None:
    """See that no text has the name that all of them together have in a report.

    Raises:
        InputError: one has.
    """
    if TOGETHER in names:
        raise InputError(f"{TOGETHER} is what the texts as one are called; give that text another name")
