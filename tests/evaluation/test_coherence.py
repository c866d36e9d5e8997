"""Generated text: how it is drawn, and what is said of its words, its repetition and its language."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.errors import CheckpointError
from ekle.evaluation import generation
from ekle.evaluation.coherence import language_of, measure_generated, repeated_grams
from ekle.evaluation.confidence import share
from ekle.evaluation.generation import draw_samples
from ekle.progress import silent
from ekle.recipe.evaluation import Evaluation

SETTINGS = Evaluation(prompts=["Deniz", "Evler"], samples=5, sample_tokens=6, resamples=20)


@pytest.fixture
def tiny(tiny_base: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(tiny_base)


def sample(text: str, prompt: str = "Sabah", ended: bool = True) -> dict[str, Any]:
    return {"prompt": prompt, "text": text, "tokens": 1, "ended": ended}


def test_the_same_seed_draws_the_same_and_leaves_chance_elsewhere_alone(tiny: tuple[Any, Any]) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = draw_samples(*tiny, SETTINGS, silent())
    assert torch.rand(1) == expected
    assert first == draw_samples(*tiny, SETTINGS, silent())
    assert [one["prompt"] for one in first] == ["Deniz"] * 5 + ["Evler"] * 5
    assert len({one["text"] for one in first}) > 2
    assert draw_samples(*tiny, SETTINGS.model_copy(update={"seed": 9}), silent()) != first


def test_fewer_are_drawn_at_once_where_memory_is_short(
    tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, counts = generation.draw_continuations, []

    def small(model: Any, prompt: list[int], count: int, *more: Any, **named: Any) -> list[list[int]]:
        counts.append(count)
        if count > fits:
            raise torch.OutOfMemoryError("no memory")
        return plain(model, prompt, count, *more, **named)

    monkeypatch.setattr(generation, "draw_continuations", small)
    fits = 2
    assert len(draw_samples(*tiny, SETTINGS, silent())) == 10
    assert counts[:4] == [5, 2, 2, 1]
    fits = 0
    with pytest.raises(CheckpointError, match=r"evaluation\.sample_tokens"):
        draw_samples(*tiny, SETTINGS, silent())


def test_repeated_runs_of_words_are_counted_by_hand() -> None:
    assert repeated_grams("a b c d e") == (0, 2)
    assert repeated_grams("a b c d a b c d") == (1, 5)
    assert repeated_grams("a a a a a a") == (2, 3)
    assert repeated_grams("a b c") == (0, 0)


def test_languages_near_and_far_are_told_apart() -> None:
    assert language_of("Yarın sabah erkenden yola çıkıp akşam eve döneceğiz.") == "tr"
    assert language_of("Mən bu kitabı oxumuşam, çox maraqlı idi və sənə də məsləhət görürəm.") == "az"
    assert language_of("The old man watered the trees in his garden.") == "en"
    assert language_of("123 456 789, 12 + 4 = 16 ev") is None


def test_figures_match_a_case_counted_by_hand() -> None:
    samples = {
        "trained": [
            sample(" evler evler evler evler evler"),  # 5 words; 2 runs, 1 repeated
            sample("ları kitaplerden gel", ended=False),  # ends and beginnings of words are left out
        ]
    }
    people = ["Evler evde kitaplar kitapta gelir gider durur kalır"]
    found = measure_generated(samples, people, SETTINGS)
    own = found["trained"]
    assert (own["samples"], own["characters"]) == (2, 50)
    assert own["words"]["words"] == 6  # kitaplerden alone of the second sample
    assert own["words"]["accepted"]["value"] == pytest.approx(5 / 6)
    assert own["words"]["harmony"]["value"] == pytest.approx(5 / 6)
    assert own["repeated"]["value"] == 1 / 2
    assert own["turkish"] == share(0, 1)  # the second has 18 letters, too few to tell
    assert found["held_out"]["samples"] == 2  # eight words in pieces of four, the mean of 5 and 3
    assert found["held_out"]["words"]["accepted"]["value"] == 1


def test_samples_in_turkish_are_counted_with_limits_that_leave_doubt() -> None:
    said = ["Yarın sabah erkenden yola çıkıp akşam eve döneceğiz."] * 11 + ["Evet."]
    turkish = measure_generated({"trained": [sample(one) for one in said]}, [], SETTINGS)["trained"][
        "turkish"
    ]
    assert turkish == share(11, 11) and turkish["low"] < 0.8


def test_what_was_not_said_is_absent() -> None:
    found = measure_generated({"trained": [sample("")]}, [], SETTINGS)
    assert set(found) == {"trained"}
    assert set(found["trained"]) == {"samples", "characters", "words"}
    assert "accepted" not in found["trained"]["words"]
