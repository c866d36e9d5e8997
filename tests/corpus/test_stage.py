"""The corpus stage splits by the text of each document, and counts what is not held out."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from tiny import ENGLISH, TURKISH

from ekle.artifacts import Corpus, read_documents
from ekle.corpus.stage import Inputs, is_held_out, run
from ekle.errors import TextError
from ekle.progress import ProgressReporter, silent
from ekle.recipe import make_recipe


def test_a_document_is_either_trained_on_or_held_out(tmp_path: Path) -> None:
    recipe = make_recipe({"name": "t", "corpus": {"sources": ["bundled:tr"], "held_out": 0.2}})
    corpus = run(recipe, Inputs(), tmp_path, silent())
    train = list(read_documents(corpus.train))
    held = [text for path in corpus.held_out.values() for text in read_documents(path)]
    assert train and held and not set(train) & set(held)
    assert corpus.summary["documents"] == len(train)
    assert set(corpus.held_out) <= {"tr_education", "tr_daily_life", "tr_news", "tr_science"}
    assert set(corpus.other) <= {"en_education", "en_daily_life", "en_news", "en_science"}
    assert list(read_documents(corpus.replay))


def test_the_split_depends_on_the_text_alone() -> None:
    texts = [f"belge {number}" for number in range(2000)]
    share = sum(is_held_out(text, 0.1) for text in texts) / len(texts)
    assert 0.07 < share < 0.13
    assert not any(is_held_out(text, 0.0) for text in texts)


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leer.txt").write_text("\n \n", "utf-8")
    recipe = make_recipe({"name": "t", "corpus": {"sources": [str(tmp_path / "leer.txt")]}})
    with pytest.raises(TextError, match="no text"):
        run(recipe, Inputs(), tmp_path / "out", silent())


def test_each_entry_has_a_stretch_of_the_training_text(tmp_path: Path, tiny_base: Path) -> None:
    entries = [str(tmp_path / "haber"), str(tmp_path / "kitap.txt")]
    (tmp_path / "haber").mkdir()
    for number in range(2):
        lines = [f"Haberde {number}{line} yazıyordu" for line in range(20)]
        (tmp_path / "haber" / f"{number}.txt").write_text("\n".join(lines), "utf-8")
    (tmp_path / "kitap.txt").write_text("\n".join(f"Kitapta {line} okudu" for line in range(30)), "utf-8")
    content = {"sources": entries, "replay": [], "word_lists": [], "held_out": 0.2}
    recipe = make_recipe({"name": "t", "base": {"tokenizer": str(tiny_base)}, "corpus": content})
    recipe = recipe.model_copy(
        update={"vocabulary": recipe.vocabulary.model_copy(update={"any_language": True})}
    )
    corpus = run(recipe, Inputs(), tmp_path / "out", silent())
    raw = corpus.train.read_bytes()
    parts = {entry: raw[first:stop].decode("utf-8") for entry, (first, stop) in corpus.stretches.items()}
    assert "".join(parts[entry] for entry in entries).encode() == raw
    assert all("Haberde" in line for line in parts[entries[0]].splitlines())
    assert all("Kitapta" in line for line in parts[entries[1]].splitlines())
    assert set(corpus.held_out) == {"0", "1", "kitap"}
    held = sum(len(list(read_documents(path))) for path in corpus.held_out.values())
    assert held == corpus.summary["held_out_documents"] == 70 - len(raw.splitlines())
    assert not corpus.instructions.exists()


def _with_replay(folder: Path, replay: list[str], other: list[str], base: Path) -> tuple[Corpus, list[str]]:
    """The corpus of a run whose replay text and English to measure on these are, and what the stage said."""
    folder.mkdir()
    (folder / "tr.txt").write_text("\n".join(TURKISH), "utf-8")
    (folder / "replay.txt").write_text("\n".join(replay), "utf-8")
    (folder / "english.txt").write_text("\n".join(other), "utf-8")
    content = {
        "sources": [str(folder / "tr.txt")],
        "replay": [str(folder / "replay.txt")],
        "other_files": [str(folder / "english.txt")],
        "word_lists": [],
        "held_out": 0,
    }
    recipe = make_recipe({"name": "t", "base": {"tokenizer": str(base)}, "corpus": content})
    (folder / "out").mkdir()
    reporter = ProgressReporter(Console(quiet=True), events=folder / "events.jsonl")
    corpus = run(recipe, Inputs(), folder / "out", reporter)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    return corpus, [event["text"] for event in events if event["kind"] == "say" and "replay" in event["text"]]


def test_held_out_text_that_is_also_replay_text_is_said_with_share_and_example(
    tmp_path: Path, tiny_base: Path
) -> None:
    copied = ENGLISH[0].upper().replace(",", " -")
    other = [f"Before that, {copied}", *ENGLISH[4:6], "too short"]
    corpus, said = _with_replay(tmp_path / "copied", ENGLISH[:4], other, tiny_base)
    assert corpus.summary["replay_overlap"] == {"english": pytest.approx(1 / 3)}
    (line,) = said
    assert "33.3% of the documents held out as english" in line
    assert "'THE STUDENTS WENT TO THE LIBRARY IN THE'" in line and "corpus.replay" in line

    corpus, said = _with_replay(tmp_path / "apart", ENGLISH[:4], ENGLISH[4:], tiny_base)
    assert corpus.summary["replay_overlap"] == {} and not said


def test_instructions_are_written_whole_and_what_is_left_out_is_said(tmp_path: Path, tiny_base: Path) -> None:
    asked, answered = {"role": "user", "content": "Kaç?"}, {"role": "assistant", "content": "İki."}
    rows = [{"messages": [asked]}, {"system": "Kısa.", "messages": [asked, answered]}, {"messages": None}]
    (tmp_path / "i.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "tr.txt").write_text("\n".join(TURKISH), "utf-8")
    settings = {"sources": [str(tmp_path / "tr.txt")], "replay": [], "word_lists": [], "held_out": 0}
    content = {**settings, "instructions": [str(tmp_path / "i.jsonl")]}
    recipe = make_recipe({"name": "t", "base": {"tokenizer": str(tiny_base)}, "corpus": content})
    said = tmp_path / "events.jsonl"
    corpus = run(recipe, Inputs(), tmp_path / "out", ProgressReporter(Console(quiet=True), said))
    (line,) = corpus.instructions.read_text("utf-8").splitlines()
    found = json.loads(line)
    assert [turn["role"] for turn in found["messages"]] == ["system", "user", "assistant"]
    assert found["row"] == f"{tmp_path / 'i.jsonl'}, line 2"
    left_out = [text for text in said.read_text("utf-8").splitlines() if "corpus.instructions: " in text]
    assert len(left_out) == 2 and "no answer to learn" in left_out[0] and "is empty" in left_out[1]
