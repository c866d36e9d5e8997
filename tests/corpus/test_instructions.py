"""Rows of the shapes that people have become conversations, and what is wrong with one is said in a line."""

import json
from pathlib import Path
from typing import Any

import polars
import pytest

from ekle.corpus.instructions import conversations
from ekle.errors import TextError

ASKED, ANSWERED = {"role": "user", "content": "Kaç?"}, {"role": "assistant", "content": "İki."}


def read(folder: Path, *rows: Any) -> list[list[dict[str, str]]]:
    path = folder / "i.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return [turns for turns, name in conversations([str(path)]) if name == "i"]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASKED, ANSWERED], "id": 7},
        {"conversations": [{"from": "human", "value": "Kaç?"}, {"from": "gpt", "value": "İki."}]},
        {"instruction": "Kaç?", "input": "", "output": "İki."},
        {"instruction": "Kaç?", "input": None, "output": "İki."},
        {"prompt": "Kaç?", "completion": "İki."},
        {"question": "Kaç?", "answer": "İki.", "messages": None},
    ],
)
def test_each_shape_gives_the_same_conversation(tmp_path: Path, row: Any) -> None:
    assert read(tmp_path, row) == [[ASKED, ANSWERED]]


def test_the_input_stands_below_the_instruction_and_the_system_before_it(tmp_path: Path) -> None:
    row = {"system": "Kısa.", "instruction": "Çevir.", "input": "house", "output": "ev"}
    system, asked, answered = read(tmp_path, row)[0]
    assert system == {"role": "system", "content": "Kısa."}
    assert asked["content"] == "Çevir.\n\nhouse"
    assert answered["content"] == "ev"


def test_parquet_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    polars.DataFrame({"messages": [[ASKED, ANSWERED]] * 3}).write_parquet(path)
    assert [turns for turns, _ in conversations([str(path)])] == [[ASKED, ANSWERED]] * 3


def test_rows_without_a_word_of_answer_are_left_out(tmp_path: Path) -> None:
    empty = {"instruction": "Kaç?", "output": " \n"}
    assert read(tmp_path, empty, {"messages": [ASKED]}, {"messages": []}) == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"text": "Kaç?"},
            r"i\.jsonl, line 2 is no conversation; it needs messages, conversations, or instr",
        ),
        (["Kaç?"], "line 2 is no conversation"),
        ({"instruction": "Kaç?", "output": None}, "line 2 has None in 'output', where text belongs"),
        ({"instruction": float("nan"), "output": "İki."}, "line 2 has nan in 'instruction'"),
        ({"prompt": "Kaç?", "answer": 2}, "line 2 has 2 in 'answer'"),
        ({"messages": "Kaç?"}, "line 2 has 'Kaç\\?' in 'messages', where a list of messages belongs"),
        ({"messages": [ASKED, {"role": "assistant"}]}, "line 2, messages has nothing in 'content'"),
        ({"messages": [{"role": "Ayşe", "content": "x"}]}, "has the role 'Ayşe'; ekle knows system, user"),
        ({"messages": ["Kaç?"]}, "line 2, messages has nothing in 'role'"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    with pytest.raises(TextError, match=words) as error:
        read(tmp_path, {"prompt": "Kaç?", "completion": "İki."}, row)
    assert "\n" not in str(error.value)


def test_plain_text_has_no_fields(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Kaç?\n", "utf-8")
    with pytest.raises(TextError, match=r"a\.txt has no fields; give \.jsonl"):
        list(conversations([str(tmp_path / "a.txt")]))


def test_the_instructions_at_hand_are_all_read(shared_data: Path) -> None:
    for path in shared_data.glob("instruct/*.jsonl"):
        rows = len(path.read_text("utf-8").splitlines())
        assert len(list(conversations([str(path)]))) >= 0.98 * rows, path.name
