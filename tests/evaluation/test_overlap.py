"""What of the measured text stands in the learned text."""

import json
from pathlib import Path

import pytest

from ekle.errors import TextError
from ekle.evaluation.overlap import measure_overlap, runs_of
from ekle.progress import silent

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
    found = measure_overlap(texts, learned(tmp_path, "bambaşka bir şey", f"Giriş. {WORDS}!"), silent())
    wiki = found["wiki"]
    assert (wiki["documents"], wiki["too_short"]) == (3, 1)
    assert wiki["overlapping"]["value"] == pytest.approx(2 / 3)
    assert wiki["mostly"]["value"] == pytest.approx(2 / 3)
    assert wiki["runs"] == pytest.approx(6 / 9)
    assert found["short"] == {"documents": 0, "too_short": 1}


def test_case_and_marks_do_not_hide_a_copy_and_a_line_between_is_no_run(tmp_path: Path) -> None:
    words = WORDS.split()
    halves = learned(tmp_path, " ".join(words[:6]), " ".join(words[6:]))
    assert measure_overlap({"a": [WORDS]}, halves, silent())["a"]["overlapping"]["value"] == 0
    shouted = learned(tmp_path, "BİR, İKİ; ÜÇ: DÖRT... BEŞ ALTI (YEDİ) SEKİZ")
    assert measure_overlap({"a": [WORDS]}, shouted, silent())["a"]["runs"] == 1 / 5


def test_runs_of_many_texts_are_those_of_each() -> None:
    texts = ["", WORDS, "\x00 " + WORDS + " \x00", "bir iki", WORDS + " son"]
    for one, text in zip(runs_of(texts), texts, strict=True):
        assert one.tolist() == runs_of([text])[0].tolist()
    assert [len(run) for run in runs_of(texts)] == [0, 5, 5, 0, 6]
    assert len(set(runs_of([WORDS])[0].tolist())) == 5


def test_learned_text_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="nowhere"):
        measure_overlap({"a": [WORDS]}, [tmp_path / "nowhere.txt"], silent())
