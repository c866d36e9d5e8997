"""JSON objects that know where they stand, so that a mistake in one can be pointed at."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ekle.errors import InputError

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
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as UTF-8 text: {error}") from error
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
        found += value if isinstance(value, list) else [value]
        place = _after_space(text, place)
    if not found or not all(isinstance(item, Record) for item in found):
        raise InputError(f"{file} holds no list of questions; give JSON objects, a line each or in one list")
    return found


def _lines_in_closing_order(text: str) -> Iterator[int]:
    """The line on which each object begins, in the order in which objects end, as the decoder meets them."""
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
    assert match is not None  # it matches nothing, too
    return match.end()
