"""Which choice is right, as task files spell it: `B`, `b`, `(b)`, `B.`, `B) four`, 1, "1", `four`, in a list.

A number counts from 0, in Belebele from 1. A number that is also the text of another choice ("2" of 1, 2, 3)
is read as the rest of the file reads: as a place if some number there is not the text of a choice, and as a
text otherwise.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ekle.turkish import casing

LETTERS = "ABCDEFGHIJ"

_LABELLED = re.compile(r"\(?\s*(\w{1,2})\s*[).:\]-]\s*(.*)", re.DOTALL)  # B) dört, (b), B., B: dört
_BEFORE = re.compile(
    r"(?:doğru\s+|correct\s+)?(?:cevap|yanıt|seçenek|şık|answer|option)\s*[:=]?\s+", re.IGNORECASE
)
_LONE = re.compile(r"[(\[]?\s*(\w{1,2})\s*[)\].:]?")


def is_unanswered(answer: Any) -> bool:
    """Whether a file says that it knows no right answer: null, an empty text, or NaN for it."""
    empty = answer == [] or (isinstance(answer, str) and not answer.strip())
    return answer is None or empty or (isinstance(answer, float) and math.isnan(answer))


def place_of(
    answer: Any, choices: Sequence[str], *, labels: Sequence[str], first: int | None, numbers: bool = True
) -> int | None:
    """The place, from 0, of the choice that `answer` means; None if it means none.

    Args:
        answer: as in the file.
        choices: their texts.
        labels: of the choices, in their order; case does not count.
        first: the number of the first choice; None if numbers that are no label mean nothing.
        numbers: whether a text that is a number is rather a place than the text of a choice.
    """
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int | float):
        return (
            _numbered(answer, choices, first)
            if first is not None
            else _labelled(str(answer), choices, labels)
        )
    if not isinstance(answer, str):
        return None
    said = answer.strip()
    by_text, by_number = _by_text(said, choices), None
    if first is not None and said.removeprefix("-").replace(".", "", 1).isdecimal():
        by_number = _numbered(float(said), choices, first)
        found = (by_number, by_text) if numbers else (by_text, by_number)
        return next((place for place in found if place is not None), None)
    by_label = _labelled(_BEFORE.sub("", said, count=1), choices, labels)
    return by_label if by_label is not None else by_text


def numbers_are_places(answered: Iterable[tuple[Any, Sequence[str]]], *, first: int) -> bool:
    """Whether texts that are numbers are places of choices and not their texts, by the whole file.

    Args:
        answered: answer and choices of each question.
        first: the number of the first choice.
    """
    texts = 0
    for answer, choices in answered:
        said = answer.strip() if isinstance(answer, str) else ""
        if not said.isdecimal():
            continue
        is_text, is_place = (
            _by_text(said, choices) is not None,
            _numbered(int(said), choices, first) is not None,
        )
        if is_place and not is_text:
            return True
        texts += is_text
    return not texts


def without_labels(choices: Sequence[str]) -> tuple[str, ...]:
    """The choices without the letters `A)`, `B)`, ... if all of them begin with theirs."""
    found = [_LABELLED.fullmatch(choice) for choice in choices]
    bare = [match[2].strip() for match in found if match is not None and match[2].strip()]
    letters = "".join(match[1] for match in found if match is not None)
    alike = len(bare) == len(choices) and letters in (LETTERS[: len(choices)], _SMALL[: len(choices)])
    return tuple(bare if alike else choices)


_SMALL = "abcdefghij"


def _labelled(said: str, choices: Sequence[str], labels: Sequence[str]) -> int | None:
    """By a label alone, or a label and the text of the same choice."""
    if (lone := _LONE.fullmatch(said)) is not None:
        return _place(lone[1], labels, len(choices))
    if (pair := _LABELLED.fullmatch(said)) is not None:
        place = _place(pair[1], labels, len(choices))
        if place is not None and _same(pair[2], choices[place]):
            return place
    return None


def _place(label: str, labels: Sequence[str], count: int) -> int | None:
    pattern = re.compile(re.escape(label), re.IGNORECASE)
    exact = [place for place, known in enumerate(labels[:count]) if known == label]
    alike = [place for place, known in enumerate(labels[:count]) if pattern.fullmatch(known)]
    found = exact or alike
    return found[0] if len(found) == 1 else None


def _by_text(said: str, choices: Sequence[str]) -> int | None:
    found = [place for place, choice in enumerate(choices) if choice == said]
    found = found or [place for place, choice in enumerate(choices) if _same(said, choice)]
    return found[0] if len(found) == 1 else None


def _same(said: str, choice: str) -> bool:
    return _bare(said) == _bare(choice)


def _bare(text: str) -> str:
    return casing.fold(" ".join(text.split()).rstrip("."))


def _numbered(number: float, choices: Sequence[str], first: int) -> int | None:
    if not math.isfinite(number) or number != int(number):
        return None
    place = int(number) - first
    return place if 0 <= place < len(choices) else None
