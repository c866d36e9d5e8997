"""The tasks that the settings name: files are read and checked here, before any model is loaded."""

import hashlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ekle.errors import InputError
from ekle.evaluation.tasks.formats import Example, Format, Language, examples, format_of
from ekle.evaluation.tasks.records import read_records
from ekle.recipe.evaluation import Evaluation

_NAME = re.compile(r"[\w.+@-]+")  # a key of the report and part of a file's name


@dataclass(frozen=True)
class Task:
    """Examples to ask, and `shown`, which stand before each of them with their answers."""

    name: str
    language: Language
    format: Format
    shown: tuple[Example, ...]
    asked: tuple[Example, ...]

    @property
    def lettered(self) -> bool:
        """Whether answers are letters, which are all equally long."""
        return self.format in ("exam", "reading")


def read_tasks(settings: Evaluation) -> list[Task]:
    """The tasks of `settings`: for each, which examples are shown and asked depends on the seed alone.

    Raises:
        InputError: lm-evaluation-harness is not installed, a name is taken or no name, or a file has a fault,
            which is named with its line.
    """
    files: list[tuple[Language, str, str]] = [("tr", *item) for item in settings.tasks.items()]
    files += [("en", *item) for item in settings.english_tasks.items()]
    if files and find_spec("lm_eval") is None:
        raise InputError("tasks need lm-evaluation-harness; pip install 'ekle[tasks]', or name no task")
    tasks: dict[str, Task] = {}
    for language, name, file in files:
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name for a task; give letters, digits and - instead")
        if name in tasks:
            raise InputError(f"two tasks are called {name}; give one of them another name")
        tasks[name] = _read(name, Path(file), language, settings)
    return list(tasks.values())


def _read(name: str, file: Path, language: Language, settings: Evaluation) -> Task:
    records = read_records(file)
    kind = format_of(records[0])
    drawn = sorted(dict.fromkeys(examples(records, kind, language)), key=lambda one: _digest(one, settings))
    shown, rest = drawn[: settings.task_shots], drawn[settings.task_shots :]
    if not rest:
        raise InputError(
            f"{file} has {len(drawn)} questions, of which {settings.task_shots} are shown and the others "
            "asked; lower evaluation.task_shots"
        )
    return Task(name, language, kind, tuple(shown), tuple(rest[: settings.task_examples]))


def _digest(example: Example, settings: Evaluation) -> bytes:
    return hashlib.blake2b(f"{settings.seed} {example}".encode()).digest()
