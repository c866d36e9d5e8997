"""Instructions: rows of several formats, read as conversations of one format."""

from collections.abc import Iterator, Sequence
from typing import Any

from ekle.errors import TextError
from ekle.text.documents import clean, records

Conversation = list[dict[str, str]]
"""Messages with `role` and `content`, at least one of them an answer of the assistant."""

_LISTS = {"messages": ("role", "content"), "conversations": ("from", "value")}
"""Fields with a list of turns, and the fields of a turn for its speaker and its text."""

_PAIRS = (("instruction", "output"), ("prompt", "completion"), ("prompt", "answer"), ("question", "answer"))
"""Fields of the question and the answer; the first pair that a row has counts."""

_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant"}
"""Other names of the speakers."""
_KNOWN = ("system", "user", "assistant", "tool")


def conversations(sources: Sequence[str]) -> Iterator[tuple[Conversation, str]]:
    """The conversations of `sources` in order, and the name of the file or data set of each.

    A row has `messages` (or `conversations` with `from` and `value`), or a question and its answer under one
    of the usual pairs of names. An `input` is put below the question, and a `system` before it. Rows without
    an answer are left out.

    Raises:
        TextError: a source is absent or cannot be read; a row has none of these fields, or one
            that is no text; a speaker is unknown. The error names the row.
    """
    for source in sources:
        for row, where, name in records(source):
            found = _conversation(row, where)
            if any(turn["role"] == "assistant" and turn["content"].strip() for turn in found):
                yield found, name


def _conversation(row: Any, where: str) -> Conversation:
    fields = row if isinstance(row, dict) else {}
    for name, (speaker, words) in _LISTS.items():
        if (turns := fields.get(name)) is not None:
            return [_turn(turn, speaker, words, f"{where}, {name}") for turn in _list(turns, name, where)]
    for question, answer in _PAIRS:
        if question in fields and answer in fields:
            asked = _text(fields, question, where)
            if fields.get("input"):
                asked += "\n\n" + _text(fields, "input", where)
            system = [_message("system", _text(fields, "system", where))] if fields.get("system") else []
            answered = _text(fields, answer, where)
            return [*system, _message("user", asked), _message("assistant", answered)]
    pairs = ", ".join(" and ".join(pair) for pair in _PAIRS)
    raise TextError(f"{where} is no conversation; it needs {', '.join(_LISTS)}, or {pairs}")


def _list(turns: Any, name: str, where: str) -> list[Any]:
    if not isinstance(turns, list):
        raise TextError(f"{where} has {turns!r:.40} in {name!r}, where a list of messages belongs")
    return turns


def _turn(turn: Any, speaker: str, words: str, where: str) -> dict[str, str]:
    fields = turn if isinstance(turn, dict) else {}
    said = _text(fields, speaker, where)
    role = _ROLES.get(said, said)
    if role not in _KNOWN:
        raise TextError(f"{where} has the {speaker} {said!r:.40}; ekle knows {', '.join((*_KNOWN, *_ROLES))}")
    return _message(role, _text(fields, words, where))


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _text(fields: dict[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        found = f"{value!r:.40}" if name in fields else "nothing"
        raise TextError(f"{where} has {found} in {name!r}, where text belongs")
    return clean(value)
