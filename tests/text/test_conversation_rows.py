"""Rows of every format become conversations, and what cannot be kept of one is said in a line."""

import json
from pathlib import Path
from typing import Any

import polars
import pytest

from ekle.errors import TextError
from ekle.text.conversation_rows import conversations, is_conversation
from ekle.text.conversations import Conversation, Findings

ASKED, ANSWERED = {"role": "user", "content": "Kaç?"}, {"role": "assistant", "content": "İki."}
SYSTEM = {"role": "system", "content": "Kısa."}


def read(folder: Path, *rows: Any, findings: Findings | None = None) -> list[Conversation]:
    path = folder / "i.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = list(conversations([str(path)], findings or Findings()))
    assert all(one.source == "i" and one.row.startswith(f"{path}, line ") for one in found)
    return found


def turns(conversation: Conversation) -> list[dict[str, Any]]:
    return list(conversation.as_json()["messages"])


def said(folder: Path, *rows: Any) -> str:
    """What is said about rows, one line for each kind."""
    findings = Findings()
    read(folder, *rows, findings=findings)
    return "\n".join(findings.lines())


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASKED, ANSWERED], "id": 7},
        {"messages": json.dumps([ASKED, ANSWERED])},
        {"conversations": [{"from": "human", "value": "Kaç?"}, {"from": "gpt", "value": "İki."}]},
        {"conversations": [ASKED, ANSWERED]},
        {"conversation": [{"human": "Kaç?", "assistant": "İki."}]},
        {"contents": [{"role": "user", "parts": [{"text": "Kaç?"}]}, {"role": "model", "parts": ["İki."]}]},
        {"messages": [None, {**ASKED, "tool_calls": None}, {**ANSWERED, "refusal": None}]},
        {"instruction": "Kaç?", "input": "", "output": "İki."},
        {"instruction": "Kaç?", "input": None, "output": "İki."},
        {"instruction": None, "input": "Kaç?", "output": "İki."},
        {"instruction": "Kaç?", "history": [], "output": "İki."},
        {"prompt": "Kaç?", "completion": "İki."},
        {"prompt": "Kaç?", "response": "İki."},
        {"prompt": [ASKED], "completion": [ANSWERED]},
        {"query": "Kaç?", "response": "İki."},
        {"question": "Kaç?", "answer": "İki.", "messages": None},
        {"soru": "Kaç?", "cevap": "İki."},
        {"talimat": "Kaç?", "giriş": "", "çıktı": "İki."},
    ],
)
def test_each_shape_gives_the_same_conversation(tmp_path: Path, row: Any) -> None:
    (found,) = read(tmp_path, row)
    assert [{key: turn[key] for key in ASKED} for turn in turns(found)] == [ASKED, ANSWERED]


@pytest.mark.parametrize(
    "row",
    [
        {"system": "Kısa.", "conversations": [{"from": "human", "value": "Kaç?"}, ANSWERED]},
        {"system": "Kısa.", "messages": [ASKED, ANSWERED]},
        {"system": "Kısa.", "messages": [SYSTEM, ASKED, ANSWERED]},
        {"system_prompt": "Kısa.", "instruction": "Kaç?", "output": "İki."},
        {"messages": [{"role": "developer", "content": "Kısa."}, ASKED, ANSWERED]},
    ],
)
def test_a_system_prompt_is_the_first_turn_wherever_it_stands(tmp_path: Path, row: Any) -> None:
    assert turns(read(tmp_path, row)[0]) == [SYSTEM, ASKED, ANSWERED]


def test_two_system_prompts_are_both_kept(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"system": "Türkçe yaz.", "messages": [SYSTEM, ASKED, ANSWERED]})
    assert turns(found)[0]["content"] == "Türkçe yaz.\n\nKısa."


@pytest.mark.parametrize("history", [[["Neresi?", "Orası."]], [{"question": "Neresi?", "answer": "Orası."}]])
def test_history_stands_before_the_instruction(tmp_path: Path, history: Any) -> None:
    row = {"system": "Kısa.", "instruction": "Kaç?", "output": "İki.", "history": history}
    found = turns(read(tmp_path, row)[0])
    assert [turn["role"] for turn in found[:2]] == ["system", "user"]
    assert found[1]["content"] == "Neresi?" and found[-3]["content"] == "Orası."
    assert found[-2:] == [ASKED, ANSWERED]


def test_the_input_stands_below_the_instruction(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"instruction": "Çevir.", "input": "house", "output": "ev"})
    assert turns(found)[0]["content"] == "Çevir.\n\nhouse"
    (found,) = read(tmp_path, {"question": "Kim?", "context": "Ali geldi.", "answer": "Ali"})
    assert turns(found)[0]["content"] == "Kim?\n\nAli geldi."
    assert "context left out, because it is no text" in said(
        tmp_path, {"question": "Kim?", "context": ["Ali geldi."], "answer": "Ali"}
    )


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_kept_beside_the_answer(tmp_path: Path, name: str) -> None:
    beside = {"messages": [ASKED, {**ANSWERED, name: "Bir ve bir."}]}
    parts = [{"type": "thinking", "thinking": "Bir ve bir."}, {"type": "text", "text": "İki."}]
    inside = {"messages": [ASKED, {"role": "assistant", "content": parts}]}
    pair = {"question": "Kaç?", name: "Bir ve bir.", "answer": "İki."}
    for found in read(tmp_path, beside, inside, pair):
        assert turns(found)[1] == {**ANSWERED, "reasoning": "Bir ve bir."}


CALL = {"name": "hava", "arguments": {"il": "İzmir"}}
SPELLED = {"name": "hava", "arguments": json.dumps({"il": "İzmir"}, ensure_ascii=False)}


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": SPELLED}]},
        {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL}]},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": json.dumps([CALL])},
        {"role": "assistant", "content": None, "function_call": SPELLED},
        {"from": "function_call", "value": json.dumps(CALL)},
        {"from": "function_call", "value": json.dumps([SPELLED])},
        {"role": "tool_call", "content": f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "name": "hava", "input": {"il": "İzmir", "gün": None}}],
        },
    ],
)
def test_every_form_of_a_call_is_the_same_call(tmp_path: Path, turn: Any) -> None:
    (found,) = read(tmp_path, {"messages": [ASKED, turn]})
    assert turns(found)[1]["tool_calls"] == (CALL,)


@pytest.mark.parametrize(
    "turn",
    [
        {"from": "observation", "value": "güneşli"},
        {"role": "tool", "content": "güneşli", "tool_call_id": "a"},
        {"role": "tool", "content": "<tool_response>\ngüneşli\n</tool_response>"},
        {"role": "function", "name": "hava", "content": "güneşli"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "güneşli"}]},
        {"from": "FUNCTION RESPONSE", "value": "güneşli"},
    ],
)
def test_every_form_of_a_result_is_the_same_result(tmp_path: Path, turn: Any) -> None:
    found = turns(read(tmp_path, {"messages": [ASKED, turn, ANSWERED]})[0])
    assert (found[1]["role"], found[1]["content"]) == ("tool", "güneşli")


def test_a_result_that_is_an_object_is_json(tmp_path: Path) -> None:
    result = {"role": "tool", "content": {"hava": "güneşli"}}
    assert turns(read(tmp_path, {"messages": [ASKED, result, ANSWERED]})[0])[1]["content"] == (
        '{"hava": "güneşli"}'
    )


def test_a_call_belongs_to_the_answer_before_it(tmp_path: Path) -> None:
    row = {
        "conversations": [
            {"from": "human", "value": "Hava?"},
            {"from": "gpt", "value": "Bakıyorum."},
            {"from": "function_call", "value": '{"name": "hava"}'},
            {"from": "function_call", "value": '{"name": "saat"}'},
            {"from": "observation", "value": "güneşli"},
            {"from": "gpt", "value": "Güneşli."},
        ]
    }
    found = turns(read(tmp_path, row)[0])
    assert [turn["role"] for turn in found] == ["user", "assistant", "tool", "assistant"]
    assert found[1]["content"] == "Bakıyorum."
    assert [call["name"] for call in found[1]["tool_calls"]] == ["hava", "saat"]


def test_a_call_in_no_known_form_stays_an_answer(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"messages": [ASKED, {"role": "function_call", "content": "hava(il=35)"}]})
    assert turns(found)[1] == {"role": "assistant", "content": "hava(il=35)"}


TOOL = {"name": "hava", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    "tools",
    [[TOOL], [{"type": "function", "function": TOOL}], json.dumps([TOOL]), [json.dumps(TOOL)], TOOL],
)
@pytest.mark.parametrize("name", ["tools", "functions"])
def test_tools_beside_the_turns_are_kept_in_one_form(tmp_path: Path, name: str, tools: Any) -> None:
    (found,) = read(tmp_path, {"messages": [ASKED, ANSWERED], name: tools})
    assert found.tools == ({"type": "function", "function": TOOL},)
    assert Conversation.model_validate(json.loads(json.dumps(found.as_json()))) == found


@pytest.mark.parametrize("off", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"training": False}])
def test_an_answer_with_weight_0_is_not_learned(tmp_path: Path, off: dict[str, Any]) -> None:
    (found,) = read(tmp_path, {"messages": [ASKED, {**ANSWERED, **off}, ASKED, {**ANSWERED, "weight": 1}]})
    assert [message.weight for message in found.messages if message.role == "assistant"] == [0, 1]
    assert "no answer to learn: 1 conversation" in said(tmp_path, {"messages": [ASKED, {**ANSWERED, **off}]})


def test_other_weights_are_learned_alike_and_said_once(tmp_path: Path) -> None:
    row = {"messages": [ASKED, {**ANSWERED, "weight": 0.5}]}
    line = said(tmp_path, row, row)
    assert "a weight is neither 0 nor 1: 2 conversations, the first is" in line and "line 1" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("user", "human"),
        ("user", "User"),
        ("user", "KULLANICI"),
        ("user", "prompter"),
        ("assistant", "chatgpt"),
        ("assistant", "ASSISTANT"),
        ("assistant", "model"),
        ("assistant", "Asistan"),
        ("system", "SİSTEM"),
        ("system", "System"),
        ("tool", "tool-response"),
        ("tool", "ipython"),
    ],
)
def test_a_role_has_many_names(tmp_path: Path, role: str, name: str) -> None:
    row = {"messages": [ASKED, {"role": name, "content": "x"}, ANSWERED]}
    assert read(tmp_path, row)[0].messages[1].role == role


def test_parquet_fills_other_rows_fields_with_null_which_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    calls = [{"function": {"name": "hava", "arguments": {"il": "İzmir", "gün": None}}}]
    rows = [
        [{**ASKED, "tool_calls": None}, {"role": "assistant", "content": None, "tool_calls": calls}],
        [{**ASKED, "tool_calls": None}, {**ANSWERED, "tool_calls": None}],
    ]
    polars.DataFrame({"messages": rows}).write_parquet(path)
    called, plain = conversations([str(path)], Findings())
    assert called.messages[1].tool_calls[0].arguments == {"il": "İzmir"}
    assert turns(plain) == [ASKED, ANSWERED]
    assert plain.row == f"{path}, row 2"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"instruction": "Kaç?", "output": " \n"}, "no answer to learn"),
        ({"instruction": "Kaç?", "output": None}, "no answer to learn"),
        ({"messages": [ASKED]}, "no answer to learn"),
        ({"messages": []}, "no answer to learn"),
        ({"messages": [ASKED, {"role": "assistant", "content": None}]}, "no answer to learn"),
        ({"messages": None}, "the row is empty"),
        ({}, "the row is empty"),
        (None, "the row is empty"),
        ({"messages": [ASKED, ANSWERED], "images": ["a.png"]}, "it has images"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ANSWERED]},
            "a part of its content is 'image_url'",
        ),
    ],
)
def test_a_row_that_is_left_out_is_counted_and_said(tmp_path: Path, row: Any, why: str) -> None:
    findings = Findings()
    (kept,) = read(tmp_path, row, {"prompt": "Kaç?", "completion": "İki."}, findings=findings)
    (line,) = findings.lines()
    assert line.startswith("left out, because ") and why in line
    assert line.endswith(f": 1 conversation, the first is {tmp_path / 'i.jsonl'}, line 1")
    assert turns(kept) == [ASKED, ANSWERED]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"text": "Kaç?"},
            r"i\.jsonl, line 2 is no conversation; it needs messages, conversations, or instr",
        ),
        (["Kaç?"], "line 2 is no conversation"),
        ({"prompt": "Kaç?"}, "line 2 is no conversation"),
        ({"instruction": float("nan"), "output": "İki."}, "line 2 has nan in 'instruction'"),
        ({"prompt": "Kaç?", "answer": 2}, "line 2 has 2 in 'answer'"),
        ({"messages": "Kaç?"}, "line 2 has 'Kaç\\?' in 'messages', where a list of messages belongs"),
        ({"messages": [{"role": "user", "utterance": "x"}]}, "line 2, messages has nothing in 'content'"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "messages has {'a': 1} in 'content'"),
        ({"messages": [{"role": "Ayşe", "content": "x"}]}, "has the role 'Ayşe'; ekle knows system, dev"),
        ({"messages": ["Kaç?"]}, "line 2, messages has nothing in 'role'"),
        ({"messages": [ASKED, {**ANSWERED, "weight": -1}]}, "has -1 in 'weight', where 0 or 1 belongs"),
        ({"messages": [ASKED, {**ANSWERED, "weight": "no"}]}, "has 'no' in 'weight'"),
        ({"messages": [ASKED, {**ANSWERED, "tool_calls": [{"id": 1}]}]}, "where a call with a name belongs"),
        ({"messages": [ASKED, ANSWERED], "tools": "hava"}, "has 'hava' in 'tools', where a list of tools"),
        ({"instruction": "a", "output": "b", "history": [["a"]]}, "in 'history', where a question and its"),
        ({"system": 7, "messages": [ASKED, ANSWERED]}, "has 7 in 'system', where text belongs"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    with pytest.raises(TextError, match=words) as error:
        read(tmp_path, {"prompt": "Kaç?", "completion": "İki."}, row)
    assert "\n" not in str(error.value)


def test_what_a_turn_has_besides_is_said_once(tmp_path: Path) -> None:
    odd = {**ANSWERED, "emotion": "mutlu", "score": 3, "annotations": [], "id": "x"}
    (line,) = said(tmp_path, {"messages": [ASKED, odd]}, {"messages": [ASKED, odd]}).splitlines()
    assert line.startswith("emotion of turns left out") and "2 conversations" in line


def test_text_is_composed_and_clean_wherever_it_stands(tmp_path: Path) -> None:
    call = {"name": "i\u0307l", "arguments": '{"ad": "go\u0308l\\u0000"}'}
    row = {
        "messages": [
            {"role": "user", "content": "Kac\u0327\x00?"},
            {"role": "assistant", "tool_calls": [call]},
        ]
    }
    found = turns(read(tmp_path, row)[0])
    assert found[0] == ASKED
    assert found[1]["tool_calls"][0]["arguments"] == {"ad": "göl"}


def test_a_row_nested_too_deeply_is_one_line(tmp_path: Path) -> None:
    row = '{"prompt": "a", "completion": "b", "id": ' + "[" * 900 + "]" * 900 + "}"
    (tmp_path / "i.jsonl").write_text(row, "utf-8")
    try:
        found = list(conversations([str(tmp_path / "i.jsonl")], Findings()))
    except TextError as error:
        assert "line 1" in str(error) and "\n" not in str(error)
    else:
        assert len(found) == 1  # this Python has the stack for it


def test_plain_text_has_no_fields(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Kaç?\n", "utf-8")
    with pytest.raises(TextError, match=r"a\.txt has no fields; give \.jsonl"):
        list(conversations([str(tmp_path / "a.txt")], Findings()))


def test_a_document_is_no_conversation() -> None:
    assert is_conversation({"instruction": "a", "output": "b"})
    assert not is_conversation({"text": "a", "instruction": "b", "output": "c"})
    assert not is_conversation({"content": "a"})


def test_the_instructions_at_hand_are_all_read(shared_data: Path) -> None:
    for path in shared_data.glob("instruct/*.jsonl"):
        rows = len(path.read_text("utf-8").splitlines())
        assert len(list(conversations([str(path)], Findings()))) >= 0.98 * rows, path.name
