"""Generated text: how it is drawn, and what is said of its words, its repetition and its language."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import START, with_start
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts.evaluation_report import Figure
from ekle.errors import DeviceMemoryError
from ekle.evaluation.model import generation
from ekle.evaluation.model.generated_text import Sample, language_of, measure_generated, repeated_ngrams
from ekle.evaluation.model.generation import choose_prompts, generate_greedy, generate_sampled
from ekle.evaluation.trust.intervals import share
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

SETTINGS = EvaluationSettings(
    prompts=["Deniz", "Evler"], samples=5, sample_tokens=6, new_tokens=4, resamples=20
)
TEXTS = {
    "prose": ["prose one two three four five\nprose a b c d e", "prose is too short", "prose v w x y z"],
    "law": ["law of the land is long"],
}


@pytest.fixture
def tiny(tiny_base: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(tiny_base)


@pytest.fixture
def starting(tiny_base: Path) -> Any:
    """A tokenizer that puts a token before each text, as Llama's does."""
    return with_start(tiny_base)


def sample(text: str, prompt: str = "Sabah", ended: bool = True) -> Sample:
    return Sample(prompt, text, 1, ended)


def draws(tiny: tuple[Any, Any], settings: EvaluationSettings = SETTINGS) -> list[Sample]:
    return generate_sampled(*tiny, choose_prompts(TEXTS, settings), settings, silent())


def test_the_same_seed_draws_the_same_and_leaves_chance_elsewhere_alone(tiny: tuple[Any, Any]) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = draws(tiny)
    assert torch.rand(1) == expected
    assert first == draws(tiny)
    assert len({one.text for one in first}) > 2
    other = generate_sampled(
        *tiny, [one.prompt for one in first], SETTINGS.model_copy(update={"seed": 9}), silent()
    )
    assert [one.text for one in other] != [one.text for one in first]


def test_prompts_are_those_named_and_then_beginnings_of_each_text_in_turn() -> None:
    prompts = choose_prompts(TEXTS, SETTINGS)
    assert prompts[:2] == ["Deniz", "Evler"]
    assert len(prompts) == len(set(prompts)) == 5
    assert [prompt[:4] for prompt in prompts[2:]] == ["pros", "law ", "pros"]
    assert all(len(prompt.split()) == 5 for prompt in prompts[2:])
    everything = choose_prompts(TEXTS, SETTINGS.model_copy(update={"samples": 99}))
    assert len(everything) == 2 + 3 + 1  # the line of four words is no beginning of anything
    assert choose_prompts(TEXTS, SETTINGS.model_copy(update={"samples": 0})) == []
    assert choose_prompts({}, SETTINGS) == ["Deniz", "Evler"]


def test_fewer_are_drawn_at_once_where_memory_is_short(
    tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, counts = generation.sample_continuations, []

    def small(model: Any, prompts: list[list[int]], *more: Any, **named: Any) -> list[list[int]]:
        counts.append(len(prompts))
        if len(prompts) > fits:
            raise torch.OutOfMemoryError("no memory")
        return plain(model, prompts, *more, **named)

    monkeypatch.setattr(generation, "sample_continuations", small)
    fits = 2
    assert len(draws(tiny)) == 5
    assert counts == [5, 2, 2, 1]
    fits = 0
    with pytest.raises(DeviceMemoryError, match=r"evaluation\.sample_tokens"):
        draws(tiny)


def test_a_greedy_sample_without_memory_is_one_clear_line(
    tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(tiny[0], "generate", full)
    with pytest.raises(DeviceMemoryError, match=r"evaluation\.new_tokens"):
        generate_greedy(*tiny, SETTINGS, silent())


@pytest.mark.parametrize("starts", [False, True])
def test_prompts_begin_with_what_the_tokenizer_puts_before_a_text(
    tiny: tuple[Any, Any], starts: bool, starting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny[0], starting if starts else tiny[1]
    read: list[list[int]] = []
    generate, draw = model.generate, generation.sample_continuations

    def greedily(**named: Any) -> Any:
        read.extend(named["input_ids"].tolist())
        return generate(**named)

    def by_chance(model: Any, prompts: list[list[int]], *more: Any, **named: Any) -> list[list[int]]:
        read.extend(prompts)
        return draw(model, prompts, *more, **named)

    monkeypatch.setattr(model, "generate", greedily)
    monkeypatch.setattr(generation, "sample_continuations", by_chance)
    greedy = generate_greedy(model, tokenizer, SETTINGS, silent())
    generate_sampled(model, tokenizer, SETTINGS.prompts, SETTINGS, silent())
    own = [tiny[1](prompt)["input_ids"] for prompt in SETTINGS.prompts]
    assert read == [[START, *ids] if starts else ids for ids in own] * 2
    assert greedy[0].tokens <= SETTINGS.new_tokens


def test_repeated_runs_of_words_are_counted_by_hand() -> None:
    assert repeated_ngrams("a b c d e") == (0, 2)
    assert repeated_ngrams("a b c d a b c d") == (1, 5)
    assert repeated_ngrams("a a a a a a") == (2, 3)
    assert repeated_ngrams("a b c") == (0, 0)


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
    assert (own.samples, own.characters) == (2, 50)
    assert own.words.words == 6  # kitaplerden alone of the second sample
    assert own.words.accepted.value == pytest.approx(5 / 6)
    assert own.words.harmony.value == pytest.approx(5 / 6)
    assert own.repeated.value == 1 / 2
    assert own.turkish == share(0, 1)  # the second has 18 letters, too few to tell
    assert found["held_out"].samples == 2  # eight words in pieces of four, the mean of 5 and 3
    assert found["held_out"].words.accepted.value == 1


def test_excerpts_of_one_document_are_drawn_together() -> None:
    good, bad = "evler evde kitaplar kitapta", "zzk zzz kkz zkz"
    samples = {"trained": [sample(f" {good}")]}
    one = measure_generated(samples, [" ".join([good, bad] * 12)], SETTINGS)["held_out"]
    assert one.samples == 24 and one.words.accepted == Figure(value=0.5)  # of one document: no interval
    many = measure_generated(samples, [good, bad] * 12, SETTINGS)["held_out"]
    assert many.words.accepted.low < 0.5 < many.words.accepted.high


def test_samples_in_turkish_are_counted_with_limits_that_leave_doubt() -> None:
    said = ["Yarın sabah erkenden yola çıkıp akşam eve döneceğiz."] * 11 + ["Evet."]
    turkish = measure_generated({"trained": [sample(one) for one in said]}, [], SETTINGS)["trained"].turkish
    assert turkish == share(11, 11) and turkish.low < 0.8


def test_what_was_not_said_is_absent() -> None:
    found = measure_generated({"trained": [sample("")]}, [], SETTINGS)
    assert set(found) == {"trained"}
    assert set(found["trained"].dump()) == {"samples", "characters", "words"}
    assert found["trained"].words.accepted is None
