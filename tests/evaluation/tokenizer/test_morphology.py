"""Cuts against gold of every form and against the lexicon, for any number of tokenizers."""

from pathlib import Path

import pytest
from tiny import byte_level
from tokenizers import Tokenizer, models

from ekle.artifacts.evaluation_report import Figure, Morphology, TokenHarmony
from ekle.errors import TextError
from ekle.evaluation.tokenizer.morphology import measure_morphology
from ekle.recipe.evaluation import EvaluationSettings

BASE = byte_level("e v")
GROWN = byte_level("e v", "Ġ ev", "l e", "le r")
TEXT = {"prose": ["Evler evde.", "zzk"]}


@pytest.fixture
def gold(tmp_path: Path) -> EvaluationSettings:
    (tmp_path / "words.tsv").write_text("evler\tev ler\nevde\tev de\n", "utf-8")
    (tmp_path / "bank.conllu").write_text("1\tevler\tev\tNOUN\t_\t_\t0\troot\t_\t_\n", "utf-8")
    tagged = '<S id="1">\nevlerde\tev+Noun+A3pl\teve+Noun\n.\t.+Punct\nev\tev+Noun\n'
    (tmp_path / "text.gold").write_text(tagged, "utf-8")
    files = [str(tmp_path / name) for name in ("words.tsv", "bank.conllu", "text.gold")]
    return EvaluationSettings(gold=files, resamples=20)


def test_each_file_of_gold_gets_what_it_can_say(gold: EvaluationSettings) -> None:
    found = measure_morphology({"base": BASE, "extended": GROWN}, TEXT, gold).gold
    assert {name: (part.kind, part.words) for name, part in found.items()} == {
        "words.tsv": ("segmented", 2),
        "bank.conllu": ("rooted", 1),
        "text.gold": ("rooted", 1),
    }
    assert set(found["bank.conllu"].by_tokenizer["base"].dump()) == {"root_intact"}
    assert set(found["text.gold"].by_tokenizer["extended"].dump()) == {
        "root_intact",
        "root_intact_difference",
    }
    by = found["words.tsv"].by_tokenizer
    assert by["extended"].root_intact_difference == Figure(value=0)  # too few words for an interval
    assert by["base"].root_intact_difference is None
    own = by["extended"]
    # evler: ' ev' 'ler'; evde: ' ev' 'd' 'e', whose second cut is wrong.
    assert own.no_wrong_boundary.value == 1 / 2
    assert own.precision.value == pytest.approx(2 / 3)
    assert own.recall.value == 1
    assert own.f1.value == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    kinds = {kind: share.value for kind, share in own.tokens}
    assert kinds == pytest.approx({"whole": 0, "morphemes": 3 / 5, "chains": 0, "neither": 2 / 5})


def test_intact_roots_are_compared_word_by_word(tmp_path: Path) -> None:
    """Two shares whose intervals overlap widely differ clearly where no word gets worse."""
    nouns = ["ev"] * 40 + ["at"] * 9
    (tmp_path / "words.tsv").write_text("".join(f"{noun}ler\t{noun} ler\n" for noun in nouns), "utf-8")
    settings = EvaluationSettings(gold=[str(tmp_path / "words.tsv")], resamples=200)
    before = byte_level("e v", "Ġ ev")
    after = byte_level("e v", "Ġ ev", "a t", "Ġ at")
    found = measure_morphology({"base": before, "extended": after}, {}, settings).gold["words.tsv"]
    base, extended = (found.by_tokenizer[name] for name in ("base", "extended"))
    assert base.root_intact.value == pytest.approx(40 / 49)
    change = extended.root_intact_difference
    assert change.value == pytest.approx(9 / 49) and 0 < change.low < change.high < 0.35


def test_words_without_a_reading_are_counted_and_left_out(gold: EvaluationSettings) -> None:
    found = measure_morphology({"base": BASE, "extended": GROWN}, TEXT, gold)
    assert (found.lexicon.words, found.lexicon.words_without_reading) == (2, 1)
    assert set(found.lexicon.by_tokenizer) == {"base", "extended"}
    assert found.held_out.accepted.value == pytest.approx(2 / 3)
    assert found.new_tokens == TokenHarmony(tokens=3, judged=0)  # ' ev', 'le', 'ler'


def test_what_cannot_be_measured_is_absent() -> None:
    other = Tokenizer(models.WordLevel({"ev": 0, "?": 1}, unk_token="?"))
    found = measure_morphology({"base": BASE, "extended": BASE, "words": other}, TEXT, EvaluationSettings())
    assert found.gold is None and found.new_tokens is None
    assert "words" not in found.lexicon.by_tokenizer
    assert measure_morphology({"base": BASE, "extended": BASE}, {}, EvaluationSettings()) == Morphology()


def test_a_file_that_is_no_gold_is_named(tmp_path: Path) -> None:
    for content in ("", "just a sentence\n"):
        (tmp_path / "words.tsv").write_text(content, "utf-8")
        settings = EvaluationSettings(gold=[str(tmp_path / "words.tsv")])
        with pytest.raises(TextError, match=r"words\.tsv"):
            measure_morphology({"base": BASE, "extended": BASE}, {}, settings)


def test_gold_gives_what_is_known_of_the_base(shared_data: Path, base: object) -> None:
    """44.4 % of the roots of UD BOUN stay whole with Qwen's tokenizer (docs/morphology.md)."""
    qwen = base.tokenizer()  # type: ignore[attr-defined]
    settings = EvaluationSettings(
        gold=[str(shared_data / "morphology" / "tr_boun-ud-dev.conllu")], resamples=50
    )
    (found,) = measure_morphology({"base": qwen, "extended": qwen}, {}, settings).gold.values()
    assert found.by_tokenizer["base"].root_intact.value == pytest.approx(0.444, abs=5e-4)
