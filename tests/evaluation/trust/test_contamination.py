"""What of the measured text stands in the learned text."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import byte_level

from ekle.artifacts import Corpus
from ekle.artifacts.evaluation_report import Contamination, Provenance
from ekle.counting.overlap import ngram_hashes
from ekle.errors import TextError
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.evaluation.plan import EvaluationPlan, evaluated_texts
from ekle.evaluation.tasks.files import Example, Task
from ekle.evaluation.texts import Texts
from ekle.evaluation.trust.contamination import measure_contamination
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

PROVENANCE = Provenance(measured={}, files={}, device="", dtype="", versions={})
WORDS = "bir iki üç dört beş altı yedi sekiz dokuz on onbir oniki"


def learned(folder: Path, *texts: str) -> list[Path]:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    return [path]


def test_shares_match_a_case_counted_by_hand(tmp_path: Path) -> None:
    texts = {
        "wiki": [
            "önce " + " ".join(WORDS.split()[:8]),  # nine words: of its two runs, one stands in the text
            WORDS,  # twelve words, five runs, all of them
            "burada başka sözler var ama hiçbiri orada yok ki",
            "çok kısa",
        ],
        "short": ["iki söz"],
    }
    found = measure_contamination(texts, learned(tmp_path, "bambaşka bir şey", f"Giriş. {WORDS}!"), silent())
    wiki = found["wiki"]
    assert (wiki.documents, wiki.too_short) == (3, 1)
    assert wiki.overlapping.value == pytest.approx(2 / 3)
    assert wiki.mostly.value == pytest.approx(2 / 3)
    assert wiki.runs == pytest.approx(6 / 9)
    assert found["short"] == Contamination(documents=0, too_short=1)


def test_case_and_marks_do_not_hide_a_copy_and_a_line_between_is_no_run(tmp_path: Path) -> None:
    words = WORDS.split()
    halves = learned(tmp_path, " ".join(words[:6]), " ".join(words[6:]))
    assert measure_contamination({"a": [WORDS]}, halves, silent())["a"].overlapping.value == 0
    shouted = learned(tmp_path, "BİR, İKİ; ÜÇ: DÖRT... BEŞ ALTI (YEDİ) SEKİZ")
    assert measure_contamination({"a": [WORDS]}, shouted, silent())["a"].runs == 1 / 5


def test_instructions_are_read_message_by_message_and_with_text(tmp_path: Path) -> None:
    words = WORDS.split()
    halves = [" ".join(words[:6]), " ".join(words[6:])]
    chats = [
        {"messages": [{"role": "user", "content": half} for half in halves], "source": "a"},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None}]},
    ]
    file = tmp_path / "instructions.jsonl"
    file.write_text("".join(json.dumps(chat) + "\n" for chat in chats), "utf-8")
    assert measure_contamination({"a": [WORDS]}, [file], silent())["a"].overlapping.value == 0
    chats[1]["messages"][1]["content"] = f"Cevap: {WORDS}"  # type: ignore[index]
    file.write_text("".join(json.dumps(chat) + "\n" for chat in chats), "utf-8")
    learned(tmp_path, "bambaşka bir şey")
    assert (
        measure_contamination({"a": [WORDS]}, [tmp_path], silent())["a"].runs == 1
    )  # a folder of both kinds
    file.write_text(json.dumps(chats[0]) + '\n{"text": "a"}\n', "utf-8")
    with pytest.raises(TextError, match="line 2 is no conversation"):
        measure_contamination({"a": [WORDS]}, [file], silent())


def test_a_run_has_learned_from_its_instructions_where_training_reads_them(tmp_path: Path) -> None:
    for name in ("train", "replay", "instructions"):
        (tmp_path / f"{name}.jsonl").write_text("" if name == "replay" else "{}\n", "utf-8")
    for share, names in ((0.0, ["train"]), (0.1, ["train", "instructions"])):
        assert [file.stem for file in Corpus(tmp_path).learned_from(share)] == names


def test_english_that_is_held_out_is_looked_for_in_the_replay_text(tmp_path: Path) -> None:
    english = "The old man watered the trees in his garden every morning."
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": WORDS}) + "\n", "utf-8")
    (tmp_path / "replay.jsonl").write_text(json.dumps({"text": english}) + "\n", "utf-8")
    texts = Texts(
        {"wiki": ["Burada başka sözler var ama hiçbiri orada yok ki."]}, {"en": [english, english[9:]]}
    )
    tokenizer = byte_level()
    plan = EvaluationPlan("x", tokenizer, tokenizer, [], texts, EvaluationSettings(), "", PROVENANCE)
    found = measure_contamination(evaluated_texts(plan), Corpus(tmp_path).learned_from(0), silent())
    assert {name: part.overlapping.value for name, part in found.items()} == {"wiki": 0, "en": 1}


def test_questions_and_sentences_to_translate_are_looked_for_too(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"tr {n}\ten {n}\n" for n in range(6)), "utf-8")
    settings = EvaluationSettings(parallel=[str(pairs)], shots=4)
    asked = Example("Soru: kim?\nCevap:", question="kim?")
    task = Task("arc", "tr", "science", (), (asked,))
    tokenizer = byte_level()
    base = EvaluatedModel("base", tmp_path)
    texts = Texts({"wiki": ["a"]}, {"wiki": ["b"]})
    plan = EvaluationPlan("x", tokenizer, tokenizer, [base], texts, settings, "", PROVENANCE, tasks=[task])
    found = evaluated_texts(plan)
    assert (found["wiki"], found["other: wiki"], found["task: arc"]) == (["a"], ["b"], ["kim?"])
    assert len(found["translation: Turkish"]) == len(found["translation: English"]) == 2
    assert all(one.startswith("tr") for one in found["translation: Turkish"])
    assert set(evaluated_texts(replace(plan, models=[]))) == {"wiki", "other: wiki"}, "nobody was asked"


def test_runs_of_many_texts_are_those_of_each() -> None:
    texts = ["", WORDS, "\x00 " + WORDS + " \x00", "bir iki", WORDS + " son"]
    for one, text in zip(ngram_hashes(texts), texts, strict=True):
        assert one.tolist() == ngram_hashes([text])[0].tolist()
    assert [len(run) for run in ngram_hashes(texts)] == [0, 5, 5, 0, 6]
    assert len(set(ngram_hashes([WORDS])[0].tolist())) == 5


def test_learned_text_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="nowhere"):
        measure_contamination({"a": [WORDS]}, [tmp_path / "nowhere.txt"], silent())
