"""What the base makes of written text: bits over bytes, worked by hand, of models and of people."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ekle.artifacts.evaluation_report import (
    HUMAN_TEXT,
    CacheBytes,
    Figure,
    GeneratedText,
    ModelSize,
    WeightBytes,
    WordShares,
)
from ekle.evaluation.model import measure as measuring
from ekle.evaluation.model.generated_text import Sample
from ekle.evaluation.model.measure import measure_models
from ekle.evaluation.model.speed import Memory
from ekle.evaluation.texts import Texts
from ekle.model.scoring.bits_per_byte import Likelihood
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

SETTINGS = EvaluationSettings(prompts=["Deniz"], samples=3, speed_passages=0, resamples=20)
NATS = {"Deniz durgun": 24.0, "Evler ve": 8.0, "abcd": 6.0}  # in units of ln 2


class Known:
    """Parts of which the samples are measured already; all others but the one in question are nothing."""

    def __init__(self, written: dict[str, list[tuple[str, str]]]) -> None:
        self.written = written

    def has(self, name: str, _: Any) -> bool:
        return name != "judged"

    def get(self, name: str, _: Any, measure: Callable[[], Any]) -> Any:
        kind, _, model = name.partition("-")
        match kind:
            case "judged":
                return measure()
            case "samples":
                return [Sample(prompt, text, 1, True) for prompt, text in self.written[model]]
            case "size":
                return ModelSize(parameters=1, row_parameters=1, weight_bytes=1)
        return {}


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Figure]]:
    """By writer, what the base makes of what it has written: prompts, and what follows each."""
    for name in ("compare_losses", "compare_divergence"):
        monkeypatch.setattr(measuring, name, lambda *_: {})
    cache, weights = CacheBytes(base=1, saved=Figure(value=0)), WeightBytes(base=1, change=0)
    monkeypatch.setattr(measuring, "measure_memory", lambda *_: Memory(cache, weights, None))
    nothing = GeneratedText(samples=0, characters=0, words=WordShares(words=0, different=0, judged=0))
    monkeypatch.setattr(
        measuring, "measure_generated", lambda written, *_: dict.fromkeys([*written, HUMAN_TEXT], nothing)
    )

    def ask(written: dict[str, list[tuple[str, str]]], held_out: dict[str, list[str]]) -> dict[str, Figure]:
        models = [SimpleNamespace(name=name, folder=None, loaded=(None, None)) for name in written]
        for model in models:
            model.size, model.close = dict, lambda: None
        plan: Any = SimpleNamespace(
            settings=SETTINGS,
            texts=Texts(held_out, {}),
            models=models,
            tasks=[],
            base=None,
            extended=None,
        )
        found = measure_models(plan, Known(written), silent()).generated or {}  # type: ignore[arg-type]
        return {name: own.bits_per_byte for name, own in found.items() if own.bits_per_byte}

    return ask


def test_bits_are_summed_over_texts_and_divided_by_their_bytes(
    judge: Callable[..., dict[str, Figure]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(model: Any, tokenizer: Any, texts: list[str], **_: Any) -> list[Likelihood]:
        return [Likelihood(NATS[text] * math.log(2), 1, len(text.encode()), 1) for text in texts]

    monkeypatch.setattr(measuring, "measure_documents", measure)
    # The base is mute, the extended model was not asked, and people write one word as the others do.
    written = {"base": [("", "")], "extended": [], "trained": [("Deniz", " durgun"), ("Evler", " ve")]}
    assert judge(written, {"prose": ["abcd"]}) == {
        "trained": Figure(value=(24 + 8) / (12 + 8)),
        "held_out": Figure(value=6 / 4),
    }


def test_people_are_read_in_as_many_beginnings_of_the_same_length(
    judge: Callable[..., dict[str, Figure]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []

    def measure(model: Any, tokenizer: Any, texts: list[str], **_: Any) -> list[Likelihood]:
        read.append(sorted(texts))
        return [Likelihood(1.0, 1, len(text.encode()), 1) for text in texts]

    monkeypatch.setattr(measuring, "measure_documents", measure)
    written = {"base": [("Deniz", " çok")], "trained": [("Deniz", " bu sabah çok durgun")]}
    held_out = {"prose": ["bir iki üç dört beş altı yedi", "a b c d e f", "kısa"], "law": ["x y z u v w"]}
    assert list(judge(written, held_out)) == ["base", "trained", HUMAN_TEXT]
    # Words on average: (2 + 5) / 2, to the even number.
    people = ["a b c d", "bir iki üç dört", "x y z u"]
    assert read == [["Deniz çok"], ["Deniz bu sabah çok durgun"], people]
