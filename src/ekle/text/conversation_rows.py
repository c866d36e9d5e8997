"""Rows of every format in use, read as conversations; docs/training.md has the table of formats.

A field that is null counts as absent, also inside arguments and tools, because Parquet and the hub fill a row
with a null for every field that other rows have.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, assert_never

from ekle.errors import TextError
from ekle.text.conversations import Conversation, Findings, Message, Role, ToolCall
from ekle.text.documents import clean, records

Fields = dict[str, Any]

_LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "contents")
"""Fields with a list of turns."""
_QUESTIONS = (*("instruction", "prompt", "question", "query", "human", "user", "talimat", "soru", "input"),)
_ANSWERS = (
    *("output", "completion", "answer", "response", "assistant", "gpt", "bot"),
    *("çıktı", "cikti", "cevap", "yanıt"),
)
"""Fields of a question and of its answer; the first of each that a row has counts."""

_BELOW = ("input", "context", "passage", "query", "giriş", "girdi", "bağlam")
"""Fields that stand below the question."""
_SYSTEM = ("system", "system_prompt", "system_message", "sistem")
_REASONING = ("reasoning_content", "reasoning", "thinking", "thought", "thoughts")
_TOOLS = ("tools", "functions")
_MEDIA = ("images", "image", "videos", "video", "audios", "audio")
_SPEAKER = ("role", "from", "speaker", "author")
_WORDS = ("content", "value", "text", "parts", "message")
_WEIGHT = ("weight", "train", "training")  # OpenAI's, and axolotl's two

# A function call as a turn of its own is an answer. Letters are compared without regard to case.
_ROLES: dict[Role | Literal["call"], tuple[str, ...]] = {
    "system": ("system", "developer", "sistem"),
    "user": ("user", "human", "prompter", "customer", "kullanıcı", "kullanici", "insan"),
    "assistant": (
        *("assistant", "gpt", "chatgpt", "bot", "chatbot", "ai", "model", "llm", "agent"),
        *("bing", "bard", "claude", "asistan", "yardımcı"),
    ),
    "call": ("function_call", "tool_call", "tool_calls"),
    "tool": (
        *("tool", "tool_response", "tool_result", "tool_results", "tool_output", "observation", "ipython"),
        *("function", "function_response", "function_result", "function_output"),
    ),
}
_SAID = {role: re.compile("|".join(names), re.IGNORECASE) for role, names in _ROLES.items()}
_KNOWN = (
    *("id", "type", "name", "tool_call_id", "tool_calls", "function_call", "refusal"),
    *(*_REASONING, *_WEIGHT),
)
"""Fields of a turn besides speaker and text."""
_TOOL_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_TOOL_RESPONSE = re.compile(
    r"\s*<tool_response>\s*((?:(?!</?tool_response>).)*?)\s*</tool_response>\s*", re.DOTALL
)


def conversations(sources: Sequence[str], findings: Findings) -> Iterator[Conversation]:
    """The conversations of `sources` in order; those without an answer to learn are left out.

    Args:
        sources: JSON lines, Parquet, folders of them, `hf:NAME[:CONFIG]`.
        findings: gets what is left out.

    Raises:
        TextError: as `read_conversation`, or a source is absent or cannot be read.
    """
    for source in sources:
        for row, where, name in records(source):
            found = read_conversation(row, where, findings)
            if found is None:
                continue
            if found.is_learned:
                yield found.model_copy(update={"source": name, "row": where})
            else:
                findings.note("left out, because there is no answer to learn", where)


def read_conversation(row: Any, where: str, findings: Findings) -> Conversation | None:
    """One row of any of the formats; None where it is left out: it is null, or holds more than text.

    Args:
        row: what the file or the hub gives.
        where: its place, for messages.
        findings: gets why it is left out, and what else cannot be kept of it.

    Raises:
        TextError: it has no fields of a conversation, or one that is no text; a speaker is unknown.
    """
    try:
        return _conversation(row, where, findings)
    except _LeftOut as reason:
        findings.note(f"left out, because {reason}", where)
        return None
    except RecursionError as error:
        raise TextError(f"{where} is nested too deeply for a conversation; take the row out") from error


def is_conversation(row: Any) -> bool:
    """Whether a row has the fields of a conversation and not `text`, which a document has."""
    return isinstance(row, dict) and "text" not in row and _has_turns(row)


class _LeftOut(Exception):
    """The row is left out; the text says why."""


def _conversation(row: Any, where: str, findings: Findings) -> Conversation:
    fields = _tidy(row)
    if fields is None or fields == {}:
        raise _LeftOut("the row is empty")
    if not isinstance(fields, dict):
        raise _none(where)
    if media := next((name for name in _MEDIA if fields.get(name)), None):
        raise _LeftOut(f"it has {media}, and ekle reads text alone")
    if _has_turns(row) and not _has_turns(fields):
        raise _LeftOut("there is no answer to learn")
    found: list[Message] = []
    if system := next((name for name in _SYSTEM if fields.get(name)), None):
        found.append(Message(role="system", content=_text(fields, system, where)))
    found += _history(fields, where, findings)
    if listed := _first(fields, _LISTS):
        turns = _list(fields[listed], listed, where, "a list of messages")
        found += _turns(turns, f"{where}, {listed}", findings)
    else:
        found += _asked_and_answered(fields, where, findings)
    if isinstance(fields.get("weight"), int | float):
        overall = _weight(fields, where, ("weight",))
        found = [message.model_copy(update={"weight": message.weight * overall}) for message in found]
    if any(message.is_answer and message.weight not in (0, 1) for message in found):
        findings.note("learned like any other, though a weight is neither 0 nor 1", where)
    return Conversation(messages=tuple(_joined(found)), tools=_tools(fields, where))


def _has_turns(fields: Mapping[str, Any]) -> bool:
    """Whether a row has a list of turns, or a question and an answer."""
    pair = _first(fields, _QUESTIONS), _first(fields, _ANSWERS)
    return _first(fields, _LISTS) is not None or None not in pair


def _none(where: str) -> TextError:
    return TextError(
        f"{where} is no conversation; it needs {', '.join(_LISTS[:2])}, or instruction and output, "
        "prompt and completion, question and answer"
    )


def _asked_and_answered(fields: Fields, where: str, findings: Findings) -> Iterator[Message]:
    question, answer = _first(fields, _QUESTIONS), _first(fields, _ANSWERS)
    if question is None or answer is None:
        raise _none(where)
    if isinstance(fields[question], list):  # TRL: a prompt of several messages, of which none is learned
        for message in _turns(fields[question], f"{where}, {question}", findings):
            yield message.model_copy(update={"weight": 0})
    else:
        below = [name for name in _BELOW if name != question and fields.get(name)]
        for name in below:
            if not isinstance(fields[name], str):
                findings.note(f"{name} left out, because it is no text", where)
        parts = [_text(fields, question, where)]
        parts += [fields[name] for name in below if isinstance(fields[name], str)]
        yield Message(role="user", content="\n\n".join(part for part in parts if part.strip()))
    if isinstance(fields[answer], list):
        yield from _turns(fields[answer], f"{where}, {answer}", findings)
        return
    thought = next((name for name in _REASONING if fields.get(name)), None)
    yield Message(
        role="assistant",
        content=_text(fields, answer, where),
        reasoning=_text(fields, thought, where) if thought else "",
    )


def _history(fields: Fields, where: str, findings: Findings) -> Iterator[Message]:
    """Earlier turns: pairs of question and answer, as Alpaca and LLaMA-Factory have them, or messages."""
    for pair in _list(fields.get("history") or [], "history", where, "a list of turns"):
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair):
            yield Message(role="user", content=pair[0])
            yield Message(role="assistant", content=pair[1])
        elif isinstance(pair, dict):
            yield from _turns([pair], f"{where}, history", findings)
        else:
            raise _refuse(where, pair, "history", "a question and its answer")


def _turns(turns: Iterable[Any], where: str, findings: Findings) -> Iterator[Message]:
    for turn in turns:
        if isinstance(turn, dict) and _first(turn, _SPEAKER) is None and _has_turns(turn):
            yield from _asked_and_answered(turn, where, findings)
        else:
            yield from _turn(turn if isinstance(turn, dict) else {}, where, findings)


def _turn(turn: Fields, where: str, findings: Findings) -> Iterator[Message]:
    """The messages of a turn: one, unless results of tools stand in its content."""
    speaker = _first(turn, _SPEAKER) or _SPEAKER[0]
    role = _role(_text(turn, speaker, where), speaker, where)
    words = _first(turn, _WORDS)
    given = turn.get("tool_calls") or turn.get("function_call") or []
    given = _tidy(_parsed(given)) if isinstance(given, str) else given
    calls = [_call(call, where) for call in (given if isinstance(given, list) else [given])]
    reasoning = next((str(turn[name]) for name in _REASONING if turn.get(name)), "")
    if words is None and "refusal" in turn:
        words = "refusal"
    if media := next((name for name in _MEDIA if turn.get(name)), None):
        raise _LeftOut(f"it has {media}, and ekle reads text alone")
    others = sorted(name for name in turn if name not in (speaker, words, *_KNOWN) and _says(turn[name]))
    if others and words is None and not calls and not reasoning:
        raise TextError(f"{where} has nothing in {_WORDS[0]!r}, where text belongs, but {', '.join(others)}")
    if others:
        findings.note(f"{', '.join(others)} of turns left out, because ekle does not know it", where)
    content = turn.get(words, "") if words else ""
    if role == "tool":
        if not isinstance(content, str) and not _has_parts(content):
            content = json.dumps(content, ensure_ascii=False)
        elif isinstance(content, str) and (inner := _TOOL_RESPONSE.fullmatch(content)):
            content = inner[1]  # the template writes the tags itself
    text, results = "", list[Message]()
    match role:
        case "call":
            text, found = _calls_in(content) if isinstance(content, str) else ("", [_call(content, where)])
            calls += found
        case "system" | "user" | "assistant" | "tool":
            text, thoughts, called, results = _parts(content, words or _WORDS[0], where)
            reasoning, calls = reasoning or thoughts, [*calls, *called]
        case _:
            assert_never(role)
    yield from results
    if results and not text:
        return
    yield Message(
        role="assistant" if role == "call" else role,
        content=text,
        reasoning=reasoning,
        tool_calls=tuple(calls),
        tool_call_id=_known(turn, "tool_call_id"),
        name=_known(turn, "name"),
        weight=_weight(turn, where),
    )


def _parts(content: Any, name: str, where: str) -> tuple[str, str, list[ToolCall], list[Message]]:
    """Text, thoughts, calls and results of a content: a text, or a list of parts."""
    if isinstance(content, str):
        return content, "", [], []
    if not isinstance(content, list):
        raise _refuse(where, content, name, "text")
    texts, thoughts, calls, results = list[str](), list[str](), list[ToolCall](), list[Message]()
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, dict):
            raise _refuse(where, part, name, "text")
        match part.get("type"):
            case "text" | "input_text" | "output_text":
                texts.append(_text({"text": "", **part}, "text", where))
            case None if "text" in part:  # Gemini's
                texts.append(_text(part, "text", where))
            case "refusal":
                texts.append(_text(part, "refusal", where))
            case "thinking" | "reasoning" | "thought" as kind:
                thoughts.append(_text(part, _first(part, (kind, "text", "content")) or kind, where))
            case "tool_use" | "tool_call" | "function_call":
                calls.append(_call(part, where))
            case "tool_result":
                said, *_ = _parts(part.get("content", ""), "content", where)
                results.append(Message(role="tool", content=said, tool_call_id=_known(part, "tool_use_id")))
            case kind:
                raise _LeftOut(f"a part of its content is {kind!r:.40} and no text")
    return "".join(texts), "\n\n".join(thoughts), calls, results


def _says(value: Any) -> bool:
    """Whether a field may be a part of what is said, which numbers and empty ones are not."""
    return isinstance(value, str | list | dict) and bool(value)


def _has_parts(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content)


def _calls_in(text: str) -> tuple[str, list[ToolCall]]:
    """A text without the calls that it spells as JSON, alone, in a list, or between <tool_call> tags; the
    calls. Where it spells something else, it stays as it is."""
    found: list[ToolCall] = []
    for spelled in _TOOL_CALL.findall(text) or [text]:
        calls = _tidy(_parsed(spelled))
        for call in calls if isinstance(calls, list) else [calls]:
            if not isinstance(call, dict) or not isinstance(call.get("name"), str):
                return text, []
            found.append(_call(call, ""))
    return _TOOL_CALL.sub("", text).strip() if _TOOL_CALL.search(text) else "", found


def _call(call: Any, where: str) -> ToolCall:
    fields = _tidy(_parsed(call)) if isinstance(call, str) else call
    inner = fields.get("function", fields) if isinstance(fields, dict) else {}
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str):
        raise _refuse(where, call, "tool_calls", "a call with a name")
    arguments = inner.get(_first(inner, ("arguments", "parameters", "input")) or "", {})
    if isinstance(arguments, str):
        spelled = _tidy(_parsed(arguments))
        arguments = spelled if isinstance(spelled, dict) else (arguments if arguments.strip() else {})
    elif not isinstance(arguments, dict):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(name=name, arguments=arguments, id=_known(fields, "id"))


def _tools(fields: Fields, where: str) -> tuple[Fields, ...]:
    """The tools beside the turns; LLaMA-Factory and others keep them as the text of a JSON list."""
    name = _first(fields, _TOOLS)
    given = fields.get(name) or [] if name else []
    if isinstance(given, str):
        given = _tidy(_parsed(given)) if given.strip() else []
    listed = [given] if isinstance(given, dict) else given
    if not isinstance(listed, list):
        raise _refuse(where, given, name or "", "a list of tools")
    tools: list[Fields] = []
    for item in listed:
        tool = _tidy(_parsed(item)) if isinstance(item, str) else item
        if not isinstance(tool, dict):
            raise _refuse(where, item, name or "", "a tool")
        tools.append({"type": "function", "function": tool} if "name" in tool else tool)
    return tuple(tools)


def _joined(messages: list[Message]) -> Iterator[Message]:
    """A call belongs to the answer before it, and a system prompt beside the turns to the one among them."""
    last: Message | None = None
    for message in messages:
        if last is not None and last.role == message.role == "system":
            apart = last.content != message.content
            content = f"{last.content}\n\n{message.content}" if apart else last.content
            last = last.model_copy(update={"content": content})
        elif (
            last is not None
            and last.role == message.role == "assistant"
            and message.tool_calls
            and not message.content
            and last.weight == message.weight
        ):
            last = last.model_copy(
                update={
                    "tool_calls": (*last.tool_calls, *message.tool_calls),
                    "reasoning": "\n\n".join(part for part in (last.reasoning, message.reasoning) if part),
                }
            )
        else:
            if last is not None:
                yield last
            last = message
    if last is not None:
        yield last


def _role(said: str, speaker: str, where: str) -> Role | Literal["call"]:
    name = re.sub(r"[\s_-]+", "_", said.strip())
    for role, names in _SAID.items():
        if names.fullmatch(name):
            return role
    known = ", ".join(name for names in _ROLES.values() for name in names)
    raise TextError(f"{where} has the {speaker} {said!r:.40}; ekle knows {known}")


def _weight(turn: Mapping[str, Any], where: str, names: tuple[str, ...] = _WEIGHT) -> float:
    weight = 1.0
    for name in names:
        value = turn.get(name, 1)
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise _refuse(where, value, name, "0 or 1")
        weight *= value
    return weight


def _list(value: Any, name: str, where: str, belongs: str) -> list[Any]:
    """A list, also as the text of a JSON list, which tables hold."""
    found = _tidy(_parsed(value)) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise _refuse(where, value, name, belongs)
    return found


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in fields), None)


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    if name not in fields:
        raise TextError(f"{where} has nothing in {name!r}, where text belongs")
    value = fields[name]
    if not isinstance(value, str):
        raise _refuse(where, value, name, "text")
    return value


def _known(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return str(value) if value is not None else None


def _tidy(value: Any) -> Any:
    """A JSON value without fields that are null; its texts in NFC, without NUL and halves of surrogate pairs.

    What JSON has no form for, such as a date of Parquet, becomes text.
    """
    match value:
        case str():
            return unicodedata.normalize("NFC", clean(value))
        case dict():
            return {_tidy(key): _tidy(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_tidy(item) for item in value if item is not None]
        case bool() | int() | float() | None:
            return value
        case _:
            return str(value)


def _parsed(value: str) -> Any:
    """What a text holds as JSON, or the text itself where it is none."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _refuse(where: str, value: Any, name: str, belongs: str) -> TextError:
    return TextError(f"{where} has {value!r:.40} in {name!r}, where {belongs} belongs")
