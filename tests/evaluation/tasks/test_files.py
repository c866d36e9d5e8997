"""Task files: every format is read, and a fault is one line that names file and line."""

import json
from pathlib import Path
from typing import Any

import pytest

from ekle.errors import InputError
from ekle.evaluation.tasks.files import Example, Language, examples, format_of, read_records, read_tasks
from ekle.evaluation.tasks.scores import score_answer
from ekle.recipe.evaluation import EvaluationSettings

EXAM = {"question": "İki kere iki kaçtır?", "choices": ["üç", "dört"], "answer": "B"}
SCIENCE = {
    "question": "Buz ısınınca ne olur?",
    "choices": {"text": ["erir", "donar"], "label": ["A", "B"]},
    "answerKey": "A",
}
CAUSE = {
    "premise": "Kapı açıldı.",
    "choice1": "Kedi içeri girdi.",
    "choice2": "Güneş battı.",
    "question": "effect",
    "label": 0,
}
READING = {
    "flores_passage": "Ali eve gitti.",
    "question": "Kim gitti?",
    **{f"mc_answer{number}": name for number, name in enumerate(("Ayşe", "Ali", "Can", "Su"), start=1)},
    "correct_answer_num": "2",
}
SQUAD: dict[str, Any] = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "\ufeffIrmak İzmit'ten geçer.",
                    "qas": [{"id": "1", "question": "Nereden geçer?", "answers": [{"text": "İzmit'ten"}]}],
                }
            ]
        }
    ]
}


def read(tmp_path: Path, content: str, language: Language = "tr") -> list[Example]:
    file = tmp_path / "task.jsonl"
    file.write_text(content, "utf-8")
    records = read_records(file)
    found = list(examples(records, format_of(records[0]), language))
    assert None not in found
    return [one for one in found if one is not None]


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def test_the_choices_of_an_exam_are_listed_and_a_letter_is_the_answer(tmp_path: Path) -> None:
    prompt = "Soru: İki kere iki kaçtır?\nA) üç\nB) dört\nCevap:"
    expected = [Example(prompt, ("A", "B"), 1)]
    assert read(tmp_path, lines(EXAM)) == expected
    assert read(tmp_path, lines({**EXAM, "answer": 1})) == expected
    assert read(tmp_path, json.dumps([EXAM], indent=1)) == expected


def test_science_scores_the_text_of_a_choice_also_where_it_is_nested_twice(tmp_path: Path) -> None:
    expected = [Example("Soru: Buz ısınınca ne olur?\nCevap:", ("erir", "donar"), 0)]
    nested = {**SCIENCE, "choices": {"text": {"text": ["erir", "donar"]}, "label": ["A", "B"]}}
    assert read(tmp_path, lines(SCIENCE)) == read(tmp_path, lines(nested)) == expected


def test_a_cause_and_an_effect_are_asked_for_in_the_language_of_the_task(tmp_path: Path) -> None:
    cause = {**CAUSE, "question": "cause"}
    assert [one.prompt for one in read(tmp_path, lines(CAUSE, cause))] == [
        "Kapı açıldı. Bunun sonucunda şu oldu:",
        "Kapı açıldı. Bunun nedeni şuydu:",
    ]
    (english,) = read(tmp_path, lines(cause), "en")
    assert english.prompt == "Kapı açıldı. The reason for this was:"


def test_the_question_is_what_stands_in_the_file(tmp_path: Path) -> None:
    records = (EXAM, SCIENCE, CAUSE, READING, SQUAD)
    assert [read(tmp_path, lines(record))[0].question for record in records] == [
        "İki kere iki kaçtır?",
        "Buz ısınınca ne olur?",
        "Kapı açıldı.",
        "Ali eve gitti.\nKim gitti?",
        "Irmak İzmit'ten geçer.\nNereden geçer?",
    ]


def test_reading_shows_its_passage(tmp_path: Path) -> None:
    (found,) = read(tmp_path, lines(READING))
    assert found.prompt == "Metin: Ali eve gitti.\nSoru: Kim gitti?\nA) Ayşe\nB) Ali\nC) Can\nD) Su\nCevap:"
    assert (found.choices, found.gold) == (("A", "B", "C", "D"), 1)


def test_extraction_has_answers_and_no_choices_and_loses_a_byte_order_mark(tmp_path: Path) -> None:
    expected = Example("Metin: Irmak İzmit'ten geçer.\nSoru: Nereden geçer?\nCevap:", answers=("İzmit'ten",))
    assert read(tmp_path, json.dumps(SQUAD)) == [expected]


FOUR = {"question": "2+2?", "choices": ["3", "4", "5", "altı"]}


@pytest.mark.parametrize(
    "answer",
    [
        *("B", "b", " B ", "(b)", "[B]", "B.", "b)", "B:", "B) 4", "b. 4", "(B) 4", "Cevap: B", "answer B"),
        *(["B"], 1, 1.0, "1", "1.0", "4"),
    ],
)
def test_an_answer_is_read_in_every_spelling(tmp_path: Path, answer: Any) -> None:
    assert [one.gold for one in read(tmp_path, lines({**FOUR, "answer": answer}))] == [1]


@pytest.mark.parametrize("answer", ["altı", "Altı.", "3", "D", 3])
def test_the_text_of_a_choice_is_an_answer_too(tmp_path: Path, answer: Any) -> None:
    (found,) = read(tmp_path, lines({**FOUR, "answer": answer}))
    assert found.gold == (0 if answer == "3" else 3)


def test_a_number_is_a_place_where_the_file_has_one_that_is_no_choice(tmp_path: Path) -> None:
    row = {"question": "1+1?", "choices": ["2", "3", "0", "5"], "answer": "2"}
    assert [one.gold for one in read(tmp_path, lines(row))] == [0]
    assert [one.gold for one in read(tmp_path, lines(row, {**row, "answer": "1"}))] == [2, 1]


@pytest.mark.parametrize("answer", ["A) 4", "E", "e", "4)", "yedi", "9", "", 1.5, True, ["A", "B"]])
def test_an_answer_that_means_none_or_two_is_refused_in_one_line(tmp_path: Path, answer: Any) -> None:
    file = tmp_path / "task.jsonl"
    file.write_text(lines({**FOUR, "answer": answer or "-"}), "utf-8")
    with pytest.raises(InputError, match=r"task\.jsonl:1: the right answer .* names none of the 4 choices"):
        list(examples(read_records(file), "exam", "tr"))


@pytest.mark.parametrize(
    "choices",
    [["A) üç", "B) dört"], ["(a) üç", "(b) dört"], {"A": "üç", "B": "dört"}, {"text": ["üç", "dört"]}],
)
def test_choices_that_bring_their_letters_lose_them(tmp_path: Path, choices: Any) -> None:
    assert read(tmp_path, lines({**EXAM, "choices": choices})) == read(tmp_path, lines(EXAM))


def test_choices_may_be_numbers(tmp_path: Path) -> None:
    (found,) = read(tmp_path, lines({"question": "2+2?", "choices": [3, 4], "answer": "4"}))
    assert "A) 3\nB) 4" in found.prompt and found.gold == 1


def test_other_formats_read_their_answers_as_widely(tmp_path: Path) -> None:
    science = [{**SCIENCE, "answerKey": key} for key in ("a", "(A)", "A.", "erir", "A) erir")]
    numbered = {**SCIENCE, "choices": {"text": ["erir", "donar"], "label": [1, 2]}, "answerKey": "1"}
    assert {one.gold for one in read(tmp_path, lines(*science, numbered, {**numbered, "answerKey": 1}))} == {
        0
    }
    assert [one.gold for one in read(tmp_path, lines({**CAUSE, "label": "0"}))] == [0]
    reading = [{**READING, "correct_answer_num": number} for number in (2, "2", 2.0, "B", "Ali")]
    assert [one.gold for one in read(tmp_path, lines(*reading))] == [1] * 5


def test_extraction_is_read_a_question_a_line_too(tmp_path: Path) -> None:
    context, asked = "Irmak İzmit'ten geçer.", "Nereden geçer?"
    row = {"id": "1", "context": context, "question": asked, "answers": {"text": ["İzmit'ten"], "start": [6]}}
    listed = {**row, "answers": [{"text": "İzmit'ten"}]}
    assert read(tmp_path, lines(row)) == read(tmp_path, lines(listed)) == read(tmp_path, json.dumps(SQUAD))


UNANSWERED = [
    *({**EXAM, "answer": answer} for answer in (None, "", [])),
    {**SCIENCE, "answerKey": ""},
    {**CAUSE, "label": None},
    {**READING, "correct_answer_num": None},
    {"context": "a", "question": "b", "answers": {"text": [], "answer_start": []}},
    {"context": "a", "question": "b", "answers": []},
    {"context": "a", "question": "b", "answers": [{"text": ""}]},
    {"context": "a", "question": "b", "is_impossible": True, "answers": [], "plausible_answers": [{}]},
    {"context": "a", "question": "b", "is_impossible": True},
]


@pytest.mark.parametrize("record", UNANSWERED)
def test_a_question_without_an_answer_is_none(tmp_path: Path, record: dict[str, Any]) -> None:
    file = tmp_path / "task.jsonl"
    file.write_text(lines(record), "utf-8")
    records = read_records(file)
    assert list(examples(records, format_of(records[0]), "tr")) == [None]


def test_questions_without_an_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="needs ekle[tasks]")
    file = tmp_path / "squad2.json"
    paragraph = SQUAD["data"][0]["paragraphs"][0]
    impossible = {"id": "2", "question": "Kim?", "is_impossible": True, "answers": []}
    both = {**paragraph, "qas": [*paragraph["qas"], impossible]}
    file.write_text(json.dumps({"data": [{"paragraphs": [both, {**both, "qas": []}]}]}), "utf-8")
    (task,) = read_tasks(EvaluationSettings(tasks={"a": str(file)}, task_shots=0))
    assert (len(task.asked), task.unanswered) == (1, 1)
    file.write_text(json.dumps({"data": [{"paragraphs": [{**both, "qas": [impossible]}]}]}), "utf-8")
    with pytest.raises(InputError, match="0 questions with an answer"):
        read_tasks(EvaluationSettings(tasks={"a": str(file)}, task_shots=0))


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({key: EXAM[key] for key in ("question", "choices")}, "the field answer is missing"),
        ({**EXAM, "choices": []}, "2 to 10 choices"),
        ({**EXAM, "choices": ["üç", " "]}, "none of them empty"),
        ({**EXAM, "question": " "}, "the field question is empty"),
        ({**EXAM, "answer": "C"}, "none of the 2 choices"),
        ({**EXAM, "answer": 2}, "none of the 2 choices"),
        ({**EXAM, "answer": -1}, "none of the 2 choices"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, record: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=rf"task\.jsonl:2: .*{complaint}"):
        read(tmp_path, lines(EXAM, record))


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({**SCIENCE, "answerKey": "C"}, "'C' is none of the labels A, B"),
        ({key: CAUSE[key] for key in CAUSE if key != "label"}, "the field label is missing"),
        ({**CAUSE, "label": 2}, "none of the 2 choices"),
        ({**CAUSE, "question": "neden"}, "cause"),
        ({**READING, "correct_answer_num": "5"}, "none of the 4 choices"),
        ({"soru": "Ne?"}, "no task that ekle knows"),
    ],
)
def test_a_fault_in_the_first_line_is_named_too(
    tmp_path: Path, record: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=rf"task\.jsonl:1: .*{complaint}"):
        read(tmp_path, lines(record))


def test_a_fault_deep_inside_one_object_has_its_own_line(tmp_path: Path) -> None:
    broken = json.loads(json.dumps(SQUAD))
    del broken["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["text"]
    text = json.dumps(broken, indent=1)
    line = text[: text.index('"answers"')].count("\n") + 2  # the object behind it opens on the next line
    with pytest.raises(InputError, match=rf"task\.jsonl:{line}: the field text is missing"):
        read(tmp_path, text)


def test_braces_and_quotes_inside_text_do_not_move_the_line(tmp_path: Path) -> None:
    odd = {**EXAM, "question": 'Bu "}{" nedir? \\'}
    with pytest.raises(InputError, match=r"task\.jsonl:3: "):
        read(tmp_path, lines(odd, odd, {**odd, "answer": "Z"}))


def test_what_is_no_json_and_what_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"task\.jsonl:2: this is no JSON"):
        read(tmp_path, lines(EXAM) + "{question: 1}\n")
    with pytest.raises(InputError, match="no list of questions"):
        read(tmp_path, "[1, 2]")
    with pytest.raises(InputError, match="nowhere"):
        read_records(tmp_path / "nowhere.jsonl")


def test_what_is_shown_is_not_asked_and_the_draw_depends_on_the_seed_alone(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="needs ekle[tasks]")
    records = [{**EXAM, "question": f"Soru {number}?"} for number in range(12)]
    (tmp_path / "a.jsonl").write_text(lines(*records), "utf-8")
    (tmp_path / "b.jsonl").write_text(lines(*records[::-1], records[3]), "utf-8")
    settings = EvaluationSettings(
        tasks={"a": str(tmp_path / "a.jsonl")},
        english_tasks={"b": str(tmp_path / "b.jsonl")},
        task_shots=2,
        task_examples=5,
    )
    turkish, english = read_tasks(settings)
    assert (len(turkish.shown), len(turkish.asked), turkish.language) == (2, 5, "tr")
    assert not set(turkish.shown) & set(turkish.asked)
    assert english.language == "en" and english.lettered
    other = settings.model_copy(update={"english_tasks": {}, "tasks": {"b": str(tmp_path / "b.jsonl")}})
    assert read_tasks(other)[0].asked == turkish.asked
    assert read_tasks(other.model_copy(update={"seed": 1}))[0].asked != turkish.asked
    with pytest.raises(InputError, match=r"lower evaluation\.task_shots"):
        read_tasks(settings.model_copy(update={"task_shots": 12}))
    with pytest.raises(InputError, match="two tasks are called a"):
        read_tasks(settings.model_copy(update={"english_tasks": settings.tasks}))
    with pytest.raises(InputError, match="no name for a task"):
        read_tasks(settings.model_copy(update={"tasks": {"../a": settings.tasks["a"]}}))


def test_without_the_harness_one_line_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ekle.evaluation.tasks.files.find_spec", lambda _: None)
    assert read_tasks(EvaluationSettings()) == []
    with pytest.raises(InputError, match=r"ekle\[tasks\]"):
        read_tasks(EvaluationSettings(tasks={"a": str(tmp_path / "a.jsonl")}))


def test_written_answers_are_compared_with_turkish_case() -> None:
    assert score_answer(" IŞIK, İZMİT'te ", ["ışık izmitte"], "tr") == {"exact_match": 1, "f1": 1}
    assert score_answer("IRMAK", ["irmak"], "tr")["f1"] == 0
    assert score_answer("The Irmak", ["irmak"], "en") == {"exact_match": 1, "f1": 1}
    # Two of three words right, two of two found: precision 2/3, recall 1.
    assert score_answer("bir büyük ev", ["yol", "büyük ev"], "tr")["f1"] == pytest.approx(0.8)
    assert score_answer("", ["ev"], "tr") == {"exact_match": 0, "f1": 0}


def test_files_of_the_real_sets_are_read(shared_data: Path) -> None:
    folder = shared_data / "tasks"
    sizes = {
        "arc_tr.jsonl": ("science", 1172),
        "data__tr__val.tr.jsonl": ("cause", 100),
        "xquad.tr.json": ("extraction", 1190),
        "turkishmmlu/turkishmmlu_sub.json": ("exam", 900),
        "turkishmmlu/test__TurkishMMLU_History.json": ("exam", 100),
    }
    for name, (kind, count) in sizes.items():
        records = read_records(folder / name)
        found = format_of(records[0])
        assert (found, sum(1 for _ in examples(records, found, "tr"))) == (kind, count)
