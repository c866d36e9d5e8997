"""Conversations are written by the model's own template, and only answers are learned."""

from collections.abc import Sequence
from typing import Any

import pytest

from ekle.bpe.qwen import chat_template as qwen_template
from ekle.errors import TrainingError
from ekle.text.conversation_rows import read_conversation
from ekle.text.conversations import Conversation, Findings
from ekle.training.data.chat_template import (
    ChatTemplate,
    TemplateMessage,
    chat_template,
    check_conversations,
)

END = "<|im_end|>"
QWEN = chat_template(qwen_template(), {"eos_token": {"content": END}, "add_bos_token": False}, "qwen3")
PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
RAISES = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('system is not\nsupported') }}"
    "{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
)
THINKS = """
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}
{%- if m.role == 'assistant' and (loop.last or m.reasoning_content) %}
{{- '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}
{%- endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
ALTERNATES = """
{%- set ns = namespace(count=0) %}{% for m in messages %}
{%- if m.role == 'user' or (m.role == 'assistant' and m.tool_calls is not defined) %}
{%- if (m.role == 'user') != (ns.count % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}
{%- set ns.count = ns.count + 1 %}{% endif %}
{%- if m.tool_calls %}[TOOL_CALLS]{{ m.tool_calls[0].function | tojson }}</s>
{%- elif m.role == 'tool' %}[RESULT]{{ m.content | tojson }}[/RESULT]
{%- elif m.role == 'assistant' %} {{ m.content }}</s>{% else %}[INST]{{ m.content }}[/INST]{% endif %}
{%- endfor %}"""

TURNS = [
    {"role": "system", "content": "Kısa cevap ver."},
    {"role": "user", "content": "Türkiye'nin başkenti neresi?"},
    {"role": "assistant", "content": "Ankara."},
    {"role": "user", "content": "Ankara'da deniz var mı?"},
    {"role": "assistant", "content": "<think>\nİç Anadolu'da.\n</think>\n\nHayır, yok."},
]
TOOL = {"type": "function", "function": {"name": "saat", "parameters": {"type": "object"}}}
CALLS: list[dict[str, Any]] = [
    {"role": "user", "content": "Saat kaç?"},
    {"role": "assistant", "content": "", "tool_calls": [{"name": "saat", "arguments": {"il": "İzmir"}}]},
    {"role": "tool", "content": '"12:00"'},
    {"role": "assistant", "content": "On iki."},
]
SPELLED = '<tool_call>\n{"name": "saat", "arguments": {"il": "İzmir"}}\n</tool_call>'


def conversation(messages: Sequence[dict[str, Any]], **fields: Any) -> Conversation:
    found = read_conversation({"messages": list(messages), **fields}, "i.jsonl, line 3", Findings())
    assert found is not None
    return found.model_copy(update={"row": "i.jsonl, line 3"})


def of(text: str, end: str = END) -> ChatTemplate:
    return chat_template(text, {"eos_token": end}, "probe")


def learned(template: ChatTemplate, told: Conversation, answers_only: bool = True) -> list[str]:
    found = template.pieces(told, answers_only)
    assert "".join(text for text, _ in found) == template.write(told)
    return [text for text, is_learned in found if is_learned]


def noted(template: ChatTemplate, *told: Conversation) -> list[str]:
    return check_conversations(template, told, True).lines()


def thinking(messages: list[TemplateMessage], tools: Any = None, prompt: bool = False) -> str:
    """As Qwen3's template does: no thoughts in earlier turns, empty ones in a last turn without."""
    last, text = len(messages) - 1, ""
    for place, turn in enumerate(messages):
        thought, closing, said = turn["content"].rpartition("</think>\n\n")
        thought = thought.removeprefix("<think>\n").removesuffix("\n") if closing else ""
        if turn["role"] == "assistant" and place == last:
            said = f"<think>\n{thought}\n</think>\n\n{said}"
        text += f"<|im_start|>{turn['role']}\n{said}<|im_end|>\n"
    return text + ("<|im_start|>assistant\n" if prompt else "")


def test_every_answer_is_learned_with_its_end_and_nothing_else() -> None:
    told = conversation(TURNS)
    assert learned(of(PLAIN), told) == ["Ankara.<|im_end|>", TURNS[-1]["content"] + END]
    assert learned(of(PLAIN), told, answers_only=False) == [of(PLAIN).write(told)]


def test_a_template_that_rewrites_thoughts_is_followed() -> None:
    template = ChatTemplate(thinking, END)
    assert learned(template, conversation(TURNS)) == ["Ankara.<|im_end|>", TURNS[-1]["content"] + END]
    # The empty thought is given, not learned.
    assert learned(template, conversation(TURNS[:3])) == ["Ankara.<|im_end|>"]


def test_answers_that_look_alike_are_told_apart() -> None:
    turns = [*TURNS[1:3], *TURNS[1:3], *TURNS[1:3]]
    assert learned(of(PLAIN), conversation(turns)) == ["Ankara.<|im_end|>"] * 3


def test_an_answer_with_weight_0_is_read_and_not_learned() -> None:
    told = conversation([*TURNS[1:2], {**TURNS[2], "weight": 0}, *TURNS[1:3]])
    assert learned(of(PLAIN), told) == ["Ankara.<|im_end|>"]
    assert "".join(learned(of(PLAIN), told, answers_only=False)).count("Ankara.") == 1


def test_an_empty_answer_is_not_learned() -> None:
    told = conversation([*TURNS[1:2], {"role": "assistant", "content": ""}, *TURNS[1:3]])
    assert learned(of(PLAIN), told) == ["Ankara.<|im_end|>"]


@pytest.mark.parametrize("template", [QWEN, of(PLAIN)], ids=["own", "none"])
def test_calls_of_tools_are_learned_and_their_results_read(template: ChatTemplate) -> None:
    told = conversation(CALLS, tools=[TOOL])
    assert learned(template, told) == [SPELLED + END, "On iki." + END]
    text = template.write(told)
    assert '<|im_start|>user\n<tool_response>\n"12:00"\n</tool_response><|im_end|>' in text
    assert '<tools>\n{"type": "function", "function": {"name": "saat"' in text


def test_a_template_without_tools_gets_them_in_the_text_which_is_said_once() -> None:
    told = conversation(CALLS, tools=[TOOL])
    assert noted(QWEN, told) == []
    (line,) = noted(of(PLAIN), told, told)
    assert line.startswith("the chat template has no tools") and line.endswith("is i.jsonl, line 3")
    assert "2 conversations" in line


def test_calls_are_found_where_turns_must_alternate() -> None:
    told = conversation(CALLS)
    call = '[TOOL_CALLS]{"name": "saat", "arguments": {"il": "İzmir"}}</s>'
    assert learned(of(ALTERNATES, "</s>"), told) == [call, "On iki.</s>"]
    both = conversation([CALLS[0], {**CALLS[1], "content": "Bakıyorum."}, *CALLS[2:]])
    assert learned(of(ALTERNATES, "</s>"), both) == [call, "On iki.</s>"]
    (line,) = noted(of(ALTERNATES, "</s>"), both)
    assert "leaves out what the assistant says" in line


REASONED = [TURNS[1], {"role": "assistant", "content": "Ankara.", "reasoning_content": "Biliyorum."}]
THOUGHT = "<think>\nBiliyorum.\n</think>\n\nAnkara.<|im_end|>"


@pytest.mark.parametrize("template", [QWEN, of(PLAIN), of(THINKS)], ids=["bundled", "plain", "field"])
def test_reasoning_is_learned_with_its_tags(template: ChatTemplate) -> None:
    assert learned(template, conversation(REASONED)) == [THOUGHT]


def test_reasoning_that_a_template_leaves_out_is_said() -> None:
    twice = conversation([*REASONED, *REASONED])
    assert noted(of(THINKS), twice) == []
    assert noted(QWEN, conversation(TURNS)) == []
    earlier = conversation([*TURNS[3:], *TURNS[1:3]])
    (line,) = noted(QWEN, earlier)
    assert line == "the chat template leaves out reasoning: 1 conversation, the first is i.jsonl, line 3"


def test_a_turn_that_a_template_leaves_out_is_said() -> None:
    mute = of("{% for m in messages if m.role != 'system' %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    (line,) = noted(mute, conversation(TURNS))
    assert "leaves out what the system says" in line
    (line,) = noted(mute, conversation([{"role": "system", "content": "Ankara"}, *TURNS[1:3]]))
    assert "leaves out what the system says" in line  # though somebody else says it, too


@pytest.mark.parametrize("eos", [END, "<|endoftext|>", ""])
def test_the_end_of_a_turn_is_learned_whatever_the_eos_token_is(eos: str) -> None:
    assert learned(of(PLAIN, eos), conversation(TURNS[1:3])) == ["Ankara.<|im_end|>"]
    lines = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    assert learned(of(lines, eos), conversation(TURNS[1:3])) == ["Ankara."]


@pytest.mark.parametrize(
    "text",
    [
        RAISES,
        "{% for m in messages %}{{ m.content + 1 }}{% endfor %}",
        "{{ messages[0].content.absent.more }}",
        "{% for m in messages %}",
        "{{ 1 // 0 }}",
    ],
)
def test_a_template_that_raises_is_one_line_with_the_row(text: str) -> None:
    with pytest.raises(
        TrainingError, match=r"the chat template of probe raises in i\.jsonl, line 3: "
    ) as error:
        check_conversations(of(text), [conversation(TURNS)], True)
    assert "\n" not in str(error.value)
    if text == RAISES:
        assert "system is not supported" in str(error.value)
        assert noted(of(text, ""), conversation(TURNS[1:3])) == []


def test_a_template_that_hides_an_answer_is_refused_and_the_cure_helps() -> None:
    def hides(messages: list[TemplateMessage], tools: Any, prompt: bool) -> str:
        return thinking(messages[:2])

    template = ChatTemplate(hides, END)
    with pytest.raises(TrainingError, match=r"does not show where an answer is.*answers_only to false"):
        template.pieces(conversation(TURNS))
    assert template.pieces(conversation(TURNS), answers_only=False) == [(thinking(TURNS[:2]), True)]


def test_a_tokenizer_without_a_template_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"no chat template.*training\.instruction_share"):
        chat_template(None, {}, "probe")
