"""The chat template of a model: a conversation as one text, and which parts of it are learned.

What the user says is read but not learned, unless the recipe asks for it. To find an answer, the
conversation is written once more with a mark in its place, so any template will do that leaves the rest of
the conversation as it is. Where that does not show it, because calls of tools have rules of their own, an
answer is what the conversation up to it has more than the conversation before it with the prompt for one.

A template without tools or reasoning gets them as Qwen3 writes them: <think>, <tools>, <tool_call> and
<tool_response> in the content.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from ekle.errors import TrainingError
from ekle.text.conversations import Conversation, Findings, Message, ToolCall

TemplateMessage = dict[str, Any]
"""A message as chat templates know it: `role`, `content`, `reasoning_content`, `tool_calls`, ..."""

Render = Callable[[list[TemplateMessage], list[dict[str, Any]] | None, bool], str]
"""Messages, tools, and whether the prompt for an answer follows, as one text with the special tokens."""

Pieces = list[tuple[str, bool]]
"""A conversation in parts; True for what is learned."""

_MARK = "\ue000"  # of the private use area, with which no text begins
_SPELLED_MARK = "EKLE0MARK"  # in JSON, in which a template may escape what is no letter

# What the code of a template raises; other exceptions are defects.
_FAULTS = (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)

_TOOLS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> \
XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


class ChatTemplate:
    """A template, and what it can write.

    Args:
        render: the template.
        eos_token: of the tokenizer. An answer ends with it, or with what the template writes after one, such
            as <|im_end|>, which is not the EOS token of every base.
        name: of the tokenizer, for messages.
    """

    def __init__(self, render: Render, eos_token: str, name: str = "the tokenizer") -> None:
        self._render, self._name = render, name
        asked, mark = {"role": "user", "content": "?"}, _SPELLED_MARK
        self._end = self._after(mark, [asked, {"role": "assistant", "content": mark}], eos_token)
        call = {"type": "function", "id": "callcall1", "function": {"name": mark, "arguments": {}}}
        called = {"role": "assistant", "content": "", "tool_calls": [call]}
        result = {"role": "tool", "content": mark, "name": "f", "tool_call_id": "callcall1"}
        thought = {"role": "assistant", "content": "!", "reasoning_content": mark}
        schema = {"name": mark, "description": "", "parameters": {"type": "object", "properties": {}}}
        tool = {"type": "function", "function": schema}
        self.writes_reasoning = self._writes([asked, thought])
        """Whether it writes `reasoning_content`."""
        self.writes_calls = self._writes([asked, called]) and self._writes(
            [asked, {**called, "tool_calls": [{**call, "function": {"name": "f", "arguments": {}}}]}, result]
        )
        """Whether it writes calls of tools and their results."""
        self.writes_tools = self._writes([asked], [tool])
        """Whether it writes the tools that may be called."""

    def write(self, conversation: Conversation) -> str:
        """The conversation as one text.

        Raises:
            TrainingError: the template raises; the error names the row.
        """
        return self._written(self._adapted(conversation))

    def pieces(self, conversation: Conversation, answers_only: bool = True) -> Pieces:
        """What `write` gives, in parts; an answer and its end are learned, unless its weight is 0.

        Args:
            conversation: what to write.
            answers_only: False learns everything else, too.

        Raises:
            TrainingError: as `write`; or the template leaves an answer out, or changes what comes after it.
        """
        adapted = self._adapted(conversation)
        whole = self._written(adapted)
        found: Pieces = []
        done = 0
        for place, message in enumerate(adapted.messages):
            learned = bool(message.weight) and message.is_answer
            if not message.is_answer or learned != answers_only:
                continue
            span = self._answer(adapted, place, whole, done)
            if span is None:
                cure = "set training.answers_only to false" if answers_only else "take out its weight"
                raise TrainingError(
                    f"the chat template of {self._name} does not show where an answer is"
                    f"{_in(conversation.row)}; {cure}, or training.instruction_share to 0"
                )
            start, stop = span
            found += [(whole[done:start], not answers_only), (whole[start:stop], answers_only)]
            done = stop
        return [(text, learned) for text, learned in [*found, (whole[done:], not answers_only)] if text]

    def note(self, conversation: Conversation, findings: Findings, thorough: bool = True) -> None:
        """Write the conversation, and note what the template leaves out of it or gets in another place.

        Args:
            conversation: what to write.
            findings: get what is left out.
            thorough: try every message; or those alone that do not stand in the text as they are.

        Raises:
            TrainingError: as `write`.
        """
        adapted = self._adapted(conversation)
        whole = self._written(adapted)
        if not self.writes_reasoning and any(message.reasoning for message in conversation.messages):
            findings.note(
                "the chat template has no reasoning; <think> in the answer holds it", conversation.row
            )
        calls = any(message.tool_calls or message.role == "tool" for message in conversation.messages)
        if (calls and not self.writes_calls) or (conversation.tools and not self.writes_tools):
            findings.note(
                "the chat template has no tools; the text of the turns holds them, as Qwen3 writes them",
                conversation.row,
            )
        for kind in sorted(set(self._left_out(conversation, adapted, whole, thorough))):
            findings.note(f"the chat template leaves out {kind}", conversation.row)

    def _left_out(
        self, conversation: Conversation, adapted: Conversation, whole: str, thorough: bool
    ) -> Iterator[str]:
        for message in conversation.messages:
            if any(thought not in whole for thought in _thoughts(message)):
                yield "reasoning"
            if any(call.name not in whole for call in message.tool_calls):
                yield "calls of tools"
        if any(str(_function(tool).get("name", "")) not in whole for tool in conversation.tools):
            yield "tools"
        for place, message in enumerate(adapted.messages):
            content = message.content.strip()
            if content and (thorough or content not in whole):  # trimmed, escaped as JSON, or left out
                other = message.model_copy(update={"content": _MARK})
                if self._attempt(_with(adapted, place, other)) == whole:
                    yield f"what the {message.role} says"

    def _answer(
        self, conversation: Conversation, place: int, whole: str, done: int
    ) -> tuple[int, int] | None:
        """Where the answer at `place` begins and ends in `whole`, its end included; None where that does not
        show. `done` characters belong to earlier turns."""
        message = conversation.messages[place]
        marked = self._attempt(_with(conversation, place, Message(role="assistant", content=_MARK))) or ""
        before, mark, after = marked.partition(_MARK)
        start, stop = _alike(before, whole), len(whole) - len(after)
        if mark and whole.endswith(after) and done <= start <= stop:
            prompt = self._prompted(conversation, place) if _thoughts(message) else None
            if prompt and done <= len(prompt) and whole.startswith(prompt):
                start = len(prompt)  # the mark has no thoughts, so the template may have written empty ones
            return start, stop + (len(self._end) if whole.startswith(self._end, stop) else 0)
        prompt = self._attempt(_until(conversation, place), prompt=True) if place else None
        until = self._attempt(_until(conversation, place + 1))
        if prompt is None or until is None or not until.startswith(prompt) or not whole.startswith(until):
            return None
        start = len(prompt)
        at = until.rfind(self._end, start) if self._end else -1
        stop = at + len(self._end) if at >= 0 else len(until)
        said = [call.name for call in message.tool_calls] or [message.content.strip()]
        shown = done <= start < stop and all(text in until[start:stop] for text in said)
        return (start, stop) if shown else None

    def _prompted(self, conversation: Conversation, place: int) -> str | None:
        """The conversation before `place` and the prompt for an answer; None if the template has none."""
        earlier = _until(conversation, place)
        prompt = self._attempt(earlier, prompt=True) if place else None
        return None if prompt == self._attempt(earlier) else prompt

    def _attempt(self, conversation: Conversation, prompt: bool = False) -> str | None:
        """As `_written`; None where the template raises."""
        try:
            return self._written(conversation, prompt)
        except TrainingError:
            return None

    def _written(self, conversation: Conversation, prompt: bool = False) -> str:
        messages = [_as_template(message) for message in conversation.messages]
        try:
            return self._render(messages, list(conversation.tools) or None, prompt)
        except _FAULTS as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise TrainingError(
                f"the chat template of {self._name} raises{_in(conversation.row)}: {why:.200}; take out of "
                "corpus.instructions what it cannot write, or set training.instruction_share to 0"
            ) from error

    def _writes(self, messages: list[TemplateMessage], tools: list[dict[str, Any]] | None = None) -> bool:
        try:
            return _SPELLED_MARK in self._render(messages, tools, False)
        except _FAULTS:
            return False

    def _after(self, mark: str, messages: list[TemplateMessage], eos_token: str) -> str:
        """What the template writes after `mark`: the EOS token, or else the rest of the line."""
        try:
            after = self._render(messages, None, False).rpartition(mark)[2]
        except _FAULTS:
            return eos_token
        if eos_token and after.startswith(eos_token):
            return eos_token
        return after.partition("\n")[0].rstrip()

    def _adapted(self, conversation: Conversation) -> Conversation:
        """The conversation with the reasoning and the tools that the template cannot write in the content."""
        messages, tools = list(conversation.messages), conversation.tools
        if not self.writes_reasoning:
            messages = [_with_thoughts(message) for message in messages]
        if tools and not self.writes_tools:
            messages, tools = _with_tools(messages, tools), ()
        if not self.writes_calls:
            messages = _with_calls(messages)
        return conversation.model_copy(update={"messages": tuple(messages), "tools": tools})


def chat_template(text: str | None, special_tokens: Mapping[str, Any], name: str) -> ChatTemplate:
    """The chat template of a tokenizer.

    Args:
        text: the template, in Jinja.
        special_tokens: `eos_token` and others, as in tokenizer_config.json.
        name: of the tokenizer, for messages.

    Raises:
        TrainingError: there is no template.
    """
    if not text:
        raise TrainingError(
            f"{name} has no chat template to write instructions with; set training.instruction_share to 0"
        )
    template = text
    tokens = {
        key: str(value["content"] if isinstance(value, dict) else value)
        for key, value in special_tokens.items()
        if key.endswith("_token") and value is not None and not isinstance(value, bool)
    }

    def render(messages: list[TemplateMessage], tools: list[dict[str, Any]] | None, prompt: bool) -> str:
        (written,), _ = render_jinja_template(
            conversations=[messages],
            tools=tools,
            chat_template=template,
            add_generation_prompt=prompt,
            **tokens,
        )
        return str(written)

    return ChatTemplate(render, tokens.get("eos_token", ""), name)


def check_conversations(
    template: ChatTemplate, conversations: Iterable[Conversation], answers_only: bool
) -> Findings:
    """Write every conversation once, and look for the answers in one of each shape.

    Returns:
        What the template leaves out, or gets in another place.

    Raises:
        TrainingError: the template raises, or does not show where an answer is; the error names the row.
    """
    findings = Findings()
    seen: set[object] = set()
    for conversation in conversations:
        shape = _shape(conversation)
        template.note(conversation, findings, thorough=shape not in seen)
        if shape not in seen:
            seen.add(shape)
            template.pieces(conversation, answers_only)
    return findings


def _shape(conversation: Conversation) -> object:
    turns = tuple(
        (each.role, each.is_answer, bool(each.reasoning), len(each.tool_calls), bool(each.weight))
        for each in conversation.messages
    )
    return turns, bool(conversation.tools)


def _as_template(message: Message) -> TemplateMessage:
    found: TemplateMessage = {"role": message.role, "content": message.content}
    if message.reasoning:
        found["reasoning_content"] = message.reasoning
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "type": "function",
                **({"id": call.id} if call.id is not None else {}),
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        found["name"] = message.name
    return found


def _with_thoughts(message: Message) -> Message:
    if not message.reasoning:
        return message
    content = f"<think>\n{message.reasoning}\n</think>\n\n{message.content}"
    return message.model_copy(update={"content": content, "reasoning": ""})


def _with_tools(messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> list[Message]:
    described = _TOOLS.format(tools="\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools))
    first, *rest = messages
    if first.role != "system":
        return [Message(role="system", content=described), *messages]
    content = f"{first.content}\n\n{described}" if first.content else described
    return [first.model_copy(update={"content": content}), *rest]


def _with_calls(messages: Sequence[Message]) -> list[Message]:
    """Calls in the content of the answer; results as a turn of the user."""
    found: list[Message] = []
    results: list[str] = []
    for message in [*messages, None]:
        if message is not None and message.role == "tool":
            results.append(f"<tool_response>\n{message.content}\n</tool_response>")
            continue
        if results:
            found.append(Message(role="user", content="\n".join(results)))
            results = []
        if message is not None:
            content = "\n".join(
                part for part in (message.content, *map(_spelled, message.tool_calls)) if part
            )
            found.append(message.model_copy(update={"content": content, "tool_calls": ()}))
    return found


def _spelled(call: ToolCall) -> str:
    arguments = call.arguments
    spelled = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    name = json.dumps(call.name, ensure_ascii=False)
    return f'<tool_call>\n{{"name": {name}, "arguments": {spelled}}}\n</tool_call>'


def _thoughts(message: Message) -> list[str]:
    """The reasoning of a message, in its field or in its content."""
    inside = message.content.partition("</think>")[0] if "</think>" in message.content else ""
    found = (message.reasoning.strip(), inside.strip().removeprefix("<think>").strip())
    return [text for text in found if text] if message.role == "assistant" else []


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = tool.get("function", tool)
    return inner if isinstance(inner, Mapping) else {}


def _with(conversation: Conversation, place: int, message: Message) -> Conversation:
    messages = conversation.messages
    return conversation.model_copy(update={"messages": (*messages[:place], message, *messages[place + 1 :])})


def _until(conversation: Conversation, place: int) -> Conversation:
    return conversation.model_copy(update={"messages": conversation.messages[:place]})


def _alike(first: str, second: str) -> int:
    """The number of characters with which both begin."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))


def _in(row: str) -> str:
    return f" in {row}" if row else ""
