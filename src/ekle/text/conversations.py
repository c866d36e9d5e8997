"""Conversations: turns, calls of tools, and what of them is learned. `conversation_rows` reads them."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["system", "user", "assistant", "tool"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolCall(_Part):
    """A call of a tool in an answer."""

    name: str
    arguments: dict[str, Any] | str = {}
    """By name; as text where that is no JSON object."""
    id: str | None = None


class Message(_Part):
    """One turn."""

    role: Role
    content: str = ""
    reasoning: str = ""
    """What an assistant thought before it answered."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    """Of the tool, or of the speaker."""
    weight: float = 1
    """0 for an answer that is not to be learned; others do not differ from 1."""

    @property
    def is_answer(self) -> bool:
        """Whether the assistant says something here: words, thoughts or calls."""
        return self.role == "assistant" and bool(
            self.tool_calls or self.content.strip() or self.reasoning.strip()
        )


class Conversation(_Part):
    """Turns, and the tools that the assistant may call."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    """JSON schemas in OpenAI's form: `type` and `function`."""
    source: str = ""
    """Name of the file or data set that has it."""
    row: str = ""
    """Its place, for messages: file and line, or data set and row."""

    @property
    def is_learned(self) -> bool:
        """Whether it has an answer to learn."""
        return any(message.is_answer and message.weight for message in self.messages)

    def as_json(self) -> dict[str, Any]:
        """Without what is empty; `Conversation.model_validate` reads it again."""
        found = self.model_dump(exclude_defaults=True)
        found["messages"] = [{"content": "", **message} for message in found["messages"]]
        return found

    def texts(self) -> Iterator[str]:
        """All that is said and thought in it."""
        for message in self.messages:
            yield from (text for text in (message.reasoning, message.content) if text)


class Findings:
    """What could not be kept of rows: each kind of it, how many conversations have it, and the first."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def note(self, kind: str, row: str) -> None:
        """One more conversation of this kind."""
        count, first = self._found.get(kind, (0, row))
        self._found[kind] = count + 1, first

    def lines(self) -> list[str]:
        """A line for each kind."""
        return [
            f"{kind}: {count:,} conversation{'s' if count > 1 else ''}, the first is {first}"
            for kind, (count, first) in self._found.items()
        ]
