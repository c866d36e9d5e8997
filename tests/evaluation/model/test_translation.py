"""Translation: the prompt, the choice of pairs, where an answer ends, and scores that are sacrebleu's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
import torch
from sacrebleu.metrics import BLEU, CHRF
from tiny import START, with_start
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.errors import DeviceMemoryError, TextError
from ekle.evaluation.model.translation import (
    DIRECTIONS,
    choose_pairs,
    prompt_of,
    read_pairs,
    resampled_scores,
    score_translations,
    translate,
)
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

PAIRS = [(f"Kedi {number} süt içiyor.", f"Cat {number} drinks milk.") for number in range(20)]
SETTINGS = EvaluationSettings(shots=2, translations=12, batch_size=4, resamples=40)


def test_pairs_are_columns_and_a_line_without_a_tab_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("\ufeffMerhaba.\tHi.\ttatoeba\r\nGel\u2028di!\tCa\u0085me!\n", "utf-8")
    assert read_pairs([file]) == [("Merhaba.", "Hi."), ("Gel\u2028di!", "Ca\u0085me!")]
    file.write_text("Merhaba.\tHi.\nGel!\n", "utf-8")
    with pytest.raises(TextError, match=r"pairs\.tsv:2"):
        read_pairs([file])
    with pytest.raises(TextError, match="nowhere"):
        read_pairs([tmp_path / "nowhere.tsv"])


def test_what_is_shown_is_not_translated_and_the_draw_is_the_same_for_all() -> None:
    shown, pairs = choose_pairs(PAIRS, SETTINGS)
    assert (len(shown), len(pairs)) == (2, 12)
    assert not set(shown) & set(pairs)
    assert choose_pairs(PAIRS[::-1], SETTINGS) == (shown, pairs)
    with pytest.raises(TextError, match="too few"):
        choose_pairs(PAIRS[:2], SETTINGS)


def test_a_prompt_shows_pairs_and_begins_the_line_to_come() -> None:
    assert prompt_of("tr-en", [("Gel!", "Come!")], ("Git!", "Go!")) == (
        "Turkish: Gel!\nEnglish: Come!\n\nTurkish: Git!\nEnglish:"
    )
    assert prompt_of("en-tr", [], ("Git!", "Go!")) == "English: Go!\nTurkish:"


def test_an_answer_is_the_rest_of_the_line_whatever_else_is_in_the_batch(tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    together = translate(model, tokenizer, PAIRS[:1], PAIRS[1:5], SETTINGS, silent())
    alone = SETTINGS.model_copy(update={"batch_size": 1})
    assert together == translate(model, tokenizer, PAIRS[:1], PAIRS[1:5], alone, silent())
    assert set(together) == {"tr-en", "en-tr"}
    assert all("\n" not in text for texts in together.values() for text in texts)


@pytest.fixture
def model(tiny_base: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()


def test_fewer_lines_are_written_at_once_where_memory_is_short(
    model: Any, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    asked = model, tokenizer, PAIRS[:1], PAIRS[1:4], SETTINGS, silent()
    whole, plain, sizes = translate(*asked), model.generate, []

    def small(input_ids: torch.Tensor, **named: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > fits:
            raise torch.OutOfMemoryError("no memory")
        return plain(input_ids=input_ids, **named)

    monkeypatch.setattr(model, "generate", small)
    fits = 1
    assert translate(*asked) == whole
    assert sizes[:3] == [3, 1, 1]
    fits = 0
    with pytest.raises(DeviceMemoryError, match=r"evaluation\.shots"):
        translate(*asked)


def test_a_prompt_begins_with_what_the_tokenizer_puts_before_a_text(
    model: Any, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []

    def say_nothing(input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> torch.Tensor:
        read.extend(ids[seen == 1].tolist() for ids, seen in zip(input_ids, attention_mask, strict=True))
        return input_ids

    monkeypatch.setattr(model, "generate", say_nothing)
    plain = AutoTokenizer.from_pretrained(tiny_base)
    for tokenizer in (plain, with_start(tiny_base)):
        translate(model, tokenizer, PAIRS[:1], PAIRS[1:3], SETTINGS, silent())
    own = [
        plain(prompt_of(direction, PAIRS[:1], pair))["input_ids"]
        for direction in DIRECTIONS
        for pair in PAIRS[1:3]
    ]
    assert read == [*own, *([START, *ids] for ids in own)]


def test_scores_are_those_of_sacrebleu() -> None:
    english = [pair[1] for pair in PAIRS]
    worse = [text.replace("drinks", "eats") if number % 2 else text for number, text in enumerate(english)]
    found = score_translations({"base": {"tr-en": worse}, "trained": {"tr-en": english}}, PAIRS, SETTINGS)
    base, trained = found["base"]["tr-en"], found["trained"]["tr-en"]
    assert base.bleu.value == pytest.approx(sacrebleu.corpus_bleu(worse, [english]).score)
    assert base.chrf.value == pytest.approx(sacrebleu.corpus_chrf(worse, [english]).score)
    assert base.bleu.low < base.bleu.value < base.bleu.high
    assert trained.bleu.value == pytest.approx(100)
    assert trained.bleu_change.value == pytest.approx(100 - base.bleu.value)
    assert trained.bleu_change.low > 0 and base.bleu_change is None
    assert base.examples[0].dump() == {"source": PAIRS[0][0], "reference": english[0], "text": worse[0]}


@pytest.mark.parametrize("metric", [BLEU(), CHRF()], ids=["BLEU", "chrF"])
def test_resampled_scores_are_those_of_the_resampled_sentences(metric: BLEU | CHRF) -> None:
    """Private methods of sacrebleu are used for them; this is what they must equal."""
    turkish, english = zip(*PAIRS, strict=True)
    texts = [*english[:9], "", *turkish[10:], *english[15:]]
    draws = np.random.default_rng(0).integers(len(PAIRS), size=(5, len(PAIRS)))
    expected = [
        metric.corpus_score([texts[n] for n in drawn], [[english[n] for n in drawn]]).score for drawn in draws
    ]
    assert len(set(expected)) > 1
    assert resampled_scores(metric, texts[: len(PAIRS)], english, draws) == expected


def test_few_pairs_give_no_interval() -> None:
    found = score_translations({"base": {"en-tr": ["Kedi."]}}, PAIRS[:1], SETTINGS)
    assert found["base"]["en-tr"].bleu.low is None
