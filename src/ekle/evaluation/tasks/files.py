"""Task files: their formats, which their fields identify, and the questions made of them.

All files are read and checked here, before any model is loaded.

exam        `question`, `choices` (a list), `answer`: TurkishMMLU, MMLU. The choices are listed and the
            letter is the answer, because questions refer to the list.
science     `question`, `choices` (`text` and `label`), `answerKey`: ARC. The text of a choice is the answer.
cause       `premise`, `choice1`, `choice2`, `question` ("cause" or "effect"), `label` (0 or 1): COPA, XCOPA.
reading     `flores_passage`, `question`, `mc_answer1` to 4, `correct_answer_num` (1 to 4): Belebele.
extraction  `data`, with `paragraphs`, `context`, `qas`, `question`, `answers`, `text`: SQuAD, XQuAD; or
            `context`, `question`, `answers` in a row, as the hub has them. The answer is written, not chosen.

`answers` reads how files spell which choice is right. A question without a right answer, as SQuAD 2.0 has
some, is left out and counted.

The prompts are ekle's own, in the language of the task.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NoReturn, assert_never

from ekle.errors import InputError
from ekle.evaluation.tasks.answers import (
    LETTERS,
    is_unanswered,
    numbers_are_places,
    place_of,
    without_labels,
)
from ekle.recipe.evaluation import EvaluationSettings
from ekle.text.formats import compression_of
from ekle.text.lines import text_parts

_STRING_OR_BRACE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}]', re.DOTALL)
_SPACE = re.compile(r"\s*")


class Record(dict[str, Any]):
    """A JSON object, and `where` it begins: "file:line"."""

    where: str = ""


def read_records(file: Path) -> list[Record]:
    """The objects of JSON Lines, of one JSON list, or the one object of a file.

    Raises:
        InputError: the file is absent, not UTF-8, no JSON, holds none, or holds something else than objects.
    """
    text = "".join(text_parts(file, compression_of(file)))
    lines = _lines_in_closing_order(text)

    def placed(pairs: list[tuple[str, Any]]) -> Record:
        record = Record(pairs)
        record.where = f"{file}:{next(lines)}"
        return record

    decoder = json.JSONDecoder(object_pairs_hook=placed)
    found: list[Any] = []
    place = _after_space(text, 0)
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise InputError(f"{file}:{error.lineno}: this is no JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file} cannot be read as JSON: {error}") from error
        found += value if isinstance(value, list) else [value]
        place = _after_space(text, place)
    if not found or not all(isinstance(item, Record) for item in found):
        raise InputError(f"{file} holds no list of questions; give JSON objects, a line each or in one list")
    return found


def _lines_in_closing_order(text: str) -> Iterator[int]:
    """The line on which each object begins, in the order in which objects end, which is the decoder's."""
    open_lines: list[int] = []
    line, counted = 1, 0
    for match in _STRING_OR_BRACE.finditer(text):
        if match[0] == "{":
            line, counted = line + text.count("\n", counted, match.start()), match.start()
            open_lines.append(line)
        elif match[0] == "}" and open_lines:
            yield open_lines.pop()


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    assert match is not None  # it also matches the empty text
    return match.end()


Format = Literal["exam", "science", "cause", "reading", "extraction"]
Language = Literal["tr", "en"]

_ROW = ("context", "question", "answers")  # extraction with a question in each object
_FIELDS: tuple[tuple[Format, tuple[str, ...]], ...] = (
    ("exam", ("question", "choices", "answer")),
    ("science", ("question", "choices", "answerKey")),
    ("cause", ("premise", "choice1", "choice2", "question", "label")),
    (
        "reading",
        (
            *("flores_passage", "question", "mc_answer1", "mc_answer2", "mc_answer3", "mc_answer4"),
            "correct_answer_num",
        ),
    ),
    ("extraction", ("data",)),
    ("extraction", _ROW),
)
_LEAST = 0.5  # share of a format's fields that the first object must have


@dataclass(frozen=True)
class Example:
    """A question: `prompt` ends before the answer, which begins with a space.

    Of `choices`, number `gold` is right. Without choices the model writes, and any of `answers` is right.
    """

    prompt: str
    choices: tuple[str, ...] = ()
    gold: int = 0
    answers: tuple[str, ...] = ()
    question: str = field(default="", compare=False, repr=False)
    """Passage and question as in the file, without choices and without words of the prompt."""


@dataclass(frozen=True)
class _Words:
    question: str
    answer: str
    passage: str
    cause: str
    effect: str


_TURKISH = _Words("Soru:", "Cevap:", "Metin:", "Bunun nedeni şuydu:", "Bunun sonucunda şu oldu:")
_ENGLISH = _Words("Question:", "Answer:", "Text:", "The reason for this was:", "What happened as a result:")


def format_of(record: Record) -> Format:
    """The format of a file: the one of whose fields its first object has most.

    Raises:
        InputError: it has the fields of none.
    """
    shares = [sum(key in record for key in keys) / len(keys) for _, keys in _FIELDS]
    if max(shares) < _LEAST:
        known = "; ".join(", ".join(keys) for _, keys in _FIELDS)
        _refuse(record, f"these fields are of no task that ekle knows; it knows those with {known}")
    return _FIELDS[shares.index(max(shares))][0]


def examples(records: Sequence[Record], kind: Format, language: Language) -> Iterator[Example | None]:
    """The questions in `records`; None for each that has no right answer.

    Raises:
        InputError: a field is missing or empty, or a right answer is none of the choices.
    """
    words = _TURKISH if language == "tr" else _ENGLISH
    match kind:
        case "exam":
            yield from _exam(records, words)
        case "science":
            yield from (_science(record, words) for record in records)
        case "cause":
            yield from (_cause(record, words) for record in records)
        case "reading":
            yield from (_reading(record, words) for record in records)
        case "extraction":
            for record in records:
                yield from _extraction(record, words)
        case _:
            assert_never(kind)


def _exam(records: Sequence[Record], words: _Words) -> Iterator[Example | None]:
    read = [(record, _choices(record, _listed(_field(record, "choices")))) for record in records]
    answers = [_field(record, "answer") for record in records]
    numbers = numbers_are_places(
        [(answer, choices) for answer, (_, choices) in zip(answers, read, strict=True)], first=0
    )
    for answer, (record, choices) in zip(answers, read, strict=True):
        gold = _gold(record, answer, choices, numbers=numbers)
        question = _text(record, "question")
        yield None if gold is None else _lettered("", question, choices, gold, words)


def _reading(record: Record, words: _Words) -> Example | None:
    choices = tuple(_text(record, f"mc_answer{number}") for number in range(1, 5))
    gold = _gold(record, _field(record, "correct_answer_num"), choices, first=1)
    passage, question = _text(record, "flores_passage"), _text(record, "question")
    return None if gold is None else _lettered(passage, question, choices, gold, words)


def _lettered(passage: str, question: str, choices: tuple[str, ...], gold: int, words: _Words) -> Example:
    begun = f"{words.passage} {passage}\n" if passage else ""
    listed = "".join(f"\n{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    prompt = f"{begun}{words.question} {question}{listed}\n{words.answer}"
    letters = tuple(LETTERS[: len(choices)])
    return Example(prompt, letters, gold, question=f"{passage}\n{question}".strip())


def _science(record: Record, words: _Words) -> Example | None:
    choices = _field(record, "choices")
    if not isinstance(choices, Record):
        _refuse(record, "choices must have text and label")
    texts, labels = _field(choices, "text"), _field(choices, "label")
    if isinstance(texts, Record):  # a translation of ARC nests it twice
        texts = _field(texts, "text")
    found = _choices(record, texts)
    if not isinstance(labels, list) or len(labels) != len(found):
        _refuse(record, f"there are {len(found)} choices, and not as many labels")
    key = _field(record, "answerKey")
    if is_unanswered(key):
        return None
    gold = place_of(key, found, labels=[str(label) for label in labels], first=None)
    if gold is None:
        _refuse(record, f"the right answer {key!r:.40} is none of the labels {', '.join(map(str, labels))}")
    question = _text(record, "question")
    prompt = f"{words.question} {question}\n{words.answer}"
    return Example(prompt, found, gold, question=question)


def _cause(record: Record, words: _Words) -> Example | None:
    asked = _field(record, "question")
    if asked not in ("cause", "effect"):
        _refuse(record, f'question must be "cause" or "effect", not {asked!r}')
    link = words.cause if asked == "cause" else words.effect
    choices = (_text(record, "choice1"), _text(record, "choice2"))
    gold = _gold(record, _field(record, "label"), choices)
    premise = _text(record, "premise")
    return None if gold is None else Example(f"{premise} {link}", choices, gold, question=premise)


def _extraction(record: Record, words: _Words) -> Iterator[Example | None]:
    if "data" not in record and any(name in record for name in _ROW):
        yield _extracted(_text(record, "context"), record, words)
        return
    for article in _objects(record, "data"):
        for paragraph in _objects(article, "paragraphs"):
            context = _text(paragraph, "context")
            for item in _objects(paragraph, "qas"):
                yield _extracted(context, item, words)


def _extracted(context: str, item: Record, words: _Words) -> Example | None:
    question = _text(item, "question")
    given = _field(item, "answers") if not item.get("is_impossible") else []
    if isinstance(given, Record):  # of the hub: a list of each field
        texts = _field(given, "text")
        given = [Record(text=text) for text in texts] if isinstance(texts, list) else texts
        for answer in given if isinstance(given, list) else ():
            answer.where = item.where
    if given is None or given == []:
        return None
    if not isinstance(given, list) or not all(isinstance(answer, Record) for answer in given):
        _refuse(item, "the field answers must be a list of objects, or have a list of texts")
    answers = tuple(_text(answer, "text") for answer in given if not is_unanswered(_field(answer, "text")))
    prompt = f"{words.passage} {context}\n{words.question} {question}\n{words.answer}"
    return Example(prompt, answers=answers, question=f"{context}\n{question}") if answers else None


def _field(record: Record, name: str) -> Any:
    if name not in record:
        _refuse(record, f"the field {name} is missing")
    return record[name]


def _text(record: Record, name: str) -> str:
    value = _field(record, name)
    text = value.strip("\ufeff \t\r\n") if isinstance(value, str) else ""  # XQuAD has byte order marks in it
    if not text:
        _refuse(record, f"the field {name} is empty or no text")
    return text


def _objects(record: Record, name: str) -> list[Record]:
    value = _field(record, name)
    if not isinstance(value, list) or not all(isinstance(item, Record) for item in value):
        _refuse(record, f"the field {name} must be a list of objects")
    return value


def _choices(record: Record, found: Any) -> tuple[str, ...]:
    texts = [_choice(item) for item in found] if isinstance(found, list) else []
    if not 2 <= len(texts) <= len(LETTERS) or not all(texts):
        _refuse(record, f"there must be 2 to {len(LETTERS)} choices, none of them empty")
    return without_labels(texts)


def _listed(choices: Any) -> Any:
    """The choices of an object `{"A": ..., "B": ...}`, or with `text` as ARC's, as a list."""
    if not isinstance(choices, Record):
        return choices
    return choices["text"] if "text" in choices else list(choices.values())


def _choice(item: Any) -> str:
    is_number = isinstance(item, int | float) and not isinstance(item, bool)
    return str(item) if is_number else item.strip() if isinstance(item, str) else ""


def _gold(
    record: Record, answer: Any, choices: Sequence[str], *, first: int = 0, numbers: bool = True
) -> int | None:
    """The place of the right choice, from 0; None where the file says none."""
    if is_unanswered(answer):
        return None
    place = place_of(answer, choices, labels=LETTERS, first=first, numbers=numbers)
    if place is None:
        _refuse(
            record,
            f"the right answer {answer!r:.40} names none of the {len(choices)} choices; give a letter, a "
            f"number from {first}, or the text of one",
        )
    return place


def _refuse(record: Record, why: str) -> NoReturn:
    raise InputError(f"{record.where}: {why}")


_NAME = re.compile(r"[\w.+@-]+")  # a key of the report and part of a file's name


@dataclass(frozen=True)
class Task:
    """Examples to ask, and `shown`: examples with answers that go before each of them."""

    name: str
    language: Language
    format: Format
    shown: tuple[Example, ...]
    asked: tuple[Example, ...]
    unanswered: int = 0
    """Questions of the file that have no right answer and are left out."""

    @property
    def lettered(self) -> bool:
        """Whether answers are letters, which are all equally long."""
        return self.format in ("exam", "reading")


def read_tasks(settings: EvaluationSettings) -> list[Task]:
    """The tasks of `settings`: for each, which examples are shown and asked depends on the seed alone.

    Raises:
        InputError: lm-evaluation-harness is not installed, a name is invalid or in use, or a file has a
            fault; the message gives its line.
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


def _read(name: str, file: Path, language: Language, settings: EvaluationSettings) -> Task:
    records = read_records(file)
    kind = format_of(records[0])
    found = list(examples(records, kind, language))
    answered = [one for one in found if one is not None]
    drawn = sorted(dict.fromkeys(answered), key=lambda one: _digest(one, settings))
    shown, rest = drawn[: settings.task_shots], drawn[settings.task_shots :]
    if not rest:
        raise InputError(
            f"{file} has {len(drawn)} questions with an answer, of which {settings.task_shots} are shown and "
            f"the others asked; {'lower evaluation.task_shots' if drawn else 'give another file'}"
        )
    asked = tuple(rest[: settings.task_examples])
    return Task(name, language, kind, tuple(shown), asked, len(found) - len(answered))


def _digest(example: Example, settings: EvaluationSettings) -> bytes:
    return hashlib.blake2b(f"{settings.seed} {example}".encode()).digest()
