"""Easy documents first, in an order that is known beforehand."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.torch import load_file

from ekle.artifacts import Corpus
from ekle.errors import TextError
from ekle.progress import silent
from ekle.recipe.training import CurriculumSettings
from ekle.training.data import curriculum
from ekle.training.data.curriculum import (
    Measured,
    competence,
    curriculum_order,
    load_or_measure,
    make_curriculum,
)
from ekle.training.data.documents import Documents, Lines, shuffled

COUNT = 400


def settings(**changes: Any) -> CurriculumSettings:
    return CurriculumSettings(**{"pacing": "linear", "start": 0.1, "share": 1.0, **changes})


@pytest.fixture
def measured() -> Measured:
    """Difficulties in no order; every document has 10 bytes."""
    difficulty = numpy.random.default_rng(3).permutation(COUNT) / COUNT
    return Measured(difficulty, numpy.full(COUNT, 10))


@pytest.mark.parametrize(
    ("pacing", "read", "expected"),
    [
        ("linear", 0.0, 0.1),
        ("linear", 0.5, 0.55),
        ("linear", 1.0, 1.0),
        ("root", 0.0, 0.1),
        ("root", 0.5, (0.01 + 0.5 * 0.99) ** 0.5),  # equation 8 of the paper with p = 2
        ("root", 1.0, 1.0),
        ("off", 0.0, 1.0),
    ],
)
def test_competence_is_that_of_the_paper(pacing: str, read: float, expected: float) -> None:
    assert competence(read, settings(pacing=pacing)) == pytest.approx(expected)


@pytest.mark.parametrize("pacing", ["linear", "root"])
@pytest.mark.parametrize("rounds", [0.3, 1.0, 4.0])
def test_no_document_comes_before_it_may(measured: Measured, pacing: str, rounds: float) -> None:
    size, chosen = rounds * COUNT * 10, settings(pacing=pacing)
    order = curriculum_order(measured, size, chosen, seed=0)
    for place, document in enumerate(order[: int(rounds * COUNT)].tolist()):
        allowed = competence(10 * place / size, chosen)
        assert measured.difficulty[document] <= max(allowed, 1 / COUNT) + 1e-9


def test_every_document_that_may_be_read_is_read_before_one_comes_again(measured: Measured) -> None:
    rounds = 4
    order = curriculum_order(measured, rounds * COUNT * 10, settings(), seed=0).tolist()
    first_repeat = next(place for place, document in enumerate(order) if document in order[:place])
    may_be_read = competence(first_repeat / (rounds * COUNT), settings()) * COUNT
    assert len(set(order[:first_repeat])) == pytest.approx(may_be_read, abs=2)


def test_a_curriculum_shorter_than_the_text_reads_every_document_once(measured: Measured) -> None:
    order = curriculum_order(measured, 0.5 * COUNT * 10, settings(), seed=0).tolist()
    assert sorted(order) == list(range(COUNT)), "random order begins when the deck is used up"


def test_a_curriculum_that_starts_with_everything_is_a_shuffle(measured: Measured) -> None:
    order = curriculum_order(measured, COUNT * 10, settings(start=1.0), seed=0)
    assert sorted(order.tolist()) == list(range(COUNT))
    halves = measured.difficulty[order[: COUNT // 2]].mean(), measured.difficulty[order[COUNT // 2 :]].mean()
    assert halves[0] == pytest.approx(halves[1], abs=0.1)


def test_long_documents_use_the_curriculum_up_faster() -> None:
    sizes = numpy.full(COUNT, 10)
    long = Measured(numpy.arange(COUNT) / COUNT, sizes * 5)
    short = Measured(long.difficulty, sizes)
    drawn = {}
    for name, each in (("long", long), ("short", short)):
        order = curriculum_order(each, 2000, settings(start=0.01), seed=0)
        drawn[name] = next(n for n, document in enumerate(order) if each.difficulty[document] > 0.5)
    assert 3 < drawn["short"] / drawn["long"] < 8


def test_the_order_depends_on_the_seed_alone(measured: Measured) -> None:
    orders = [curriculum_order(measured, 3000, settings(), seed) for seed in (1, 1, 2)]
    assert numpy.array_equal(orders[0], orders[1])
    assert not numpy.array_equal(orders[0], orders[2])


def words(texts: list[str]) -> list[list[int]]:
    return [[0] * len(text.split()) for text in texts]


def test_documents_are_read_easy_first_and_then_in_random_order(tiny_corpus: Corpus, tmp_path: Path) -> None:
    documents = Documents(Lines(tiny_corpus.train, 0), words, 0)
    count = len(documents)
    plain = [documents.lines.text(number) for number in range(2 * count)]
    tokens = sum(len(ids) + 1 for ids in words(plain[:count])) / 2
    order = make_curriculum(documents, tokens, settings(), 0, tmp_path, False, silent())
    documents.reorder(order)
    read = [documents.lines.text(number) for number in range(4 * count)]
    difficulty = load_or_measure(
        Lines(tiny_corpus.train, 0), tmp_path / "measures.safetensors", silent()
    ).difficulty
    lines = [json.loads(line)["text"] for line in tiny_corpus.train.read_text("utf-8").splitlines()]
    of_text = dict(zip(lines, difficulty, strict=True))
    half = count // 2
    assert numpy.mean([of_text[text] for text in read[: half // 2]]) < numpy.mean(difficulty)
    opening = load_file(tmp_path / "order.safetensors")["order"].tolist()
    assert Counter(read[: len(opening)]) == Counter(lines[place] for place in opening)
    turn, place = divmod(len(opening), count)
    after = read[len(opening) : (turn + 1) * count]
    assert after == [lines[line] for line in shuffled(count, 0)(turn)[: count - place]]


def test_measures_and_order_are_made_once(
    tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = Documents(Lines(tiny_corpus.train, 0), words, 0)
    first = make_curriculum(documents, 500, settings(), 0, tmp_path, False, silent())
    monkeypatch.setattr(curriculum, "measure", None)  # any further measuring would fail
    again = make_curriculum(documents, 500, settings(), 0, tmp_path, False, silent())
    assert numpy.array_equal(first(0), again(0))
    resumed = make_curriculum(documents, 9000, settings(), 0, tmp_path, True, silent())
    assert numpy.array_equal(first(0), resumed(0)), "a run that has begun keeps its order"


def test_another_text_is_measured_anew(tiny_corpus: Corpus, tmp_path: Path) -> None:
    kept, other = tmp_path / "measures.safetensors", tmp_path / "other.jsonl"
    load_or_measure(Lines(tiny_corpus.train, 0), kept, silent())
    other.write_text('{"text": "Geldi."}\n', "utf-8")
    assert load_or_measure(Lines(other, 0), kept, silent()).bytes.tolist() == [6]
    kept.write_bytes(b"damaged")
    assert load_or_measure(Lines(other, 0), kept, silent()).difficulty.tolist() == [0.5]


def test_a_line_that_is_no_document_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "Geldi."}\nnothing\n', "utf-8")
    with pytest.raises(TextError, match="no document: b'nothing"):
        load_or_measure(Lines(tmp_path / "train.jsonl", 0), tmp_path / "kept", silent())
