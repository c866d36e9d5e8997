"""What the base makes of written text: bits over bytes, worked by hand, of models and of people."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ekle.evaluation.model import measure as measuring
from ekle.evaluation.model.measure import measure_models
from ekle.evaluation.names import HUMAN_TEXT
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

    def has(self, name: str) -> bool:
        return name != "judged"

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        kind, _, model = name.partition("-")
        match kind:
            case "judged":
                return measure()
            case "samples":
                return [{"prompt": prompt, "text": text} for prompt, text in self.written[model]]
            case "size":
                return {"weight_bytes": 1}
        return {}


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """By writer, what the base makes of what it has written: prompts, and what follows each."""
    for name in ("compare_losses", "compare_divergence", "measure_memory"):
        monkeypatch.setattr(measuring, name, lambda *_: {})
    monkeypatch.setattr(
        measuring, "measure_generated", lambda written, *_: {name: {} for name in [*written, HUMAN_TEXT]}
    )

    def ask(written: dict[str, list[tuple[str, str]]], held_out: dict[str, list[str]]) -> dict[str, Any]:
        subjects = [SimpleNamespace(name=name, folder=None, loaded=(None, None)) for name in written]
        for subject in subjects:
            subject.size, subject.close = dict, lambda: None
        plan: Any = SimpleNamespace(
            settings=SETTINGS,
            texts=Texts(held_out, {}),
            subjects=subjects,
            tasks=[],
            base=None,
            extended=None,
        )
        found = measure_models(plan, Known(written), silent())["generated"]  # type: ignore[arg-type]
        return {name: figures["bits_per_byte"] for name, figures in found.items() if figures}

    return ask


def test_bits_are_summed_over_texts_and_divided_by_their_bytes(
    judge: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(model: Any, tokenizer: Any, texts: list[str], **_: Any) -> list[Likelihood]:
        return [Likelihood(NATS[text] * math.log(2), 1, len(text.encode()), 1) for text in texts]

    monkeypatch.setattr(measuring, "measure_documents", measure)
    # The base is mute, the extended model was not asked, and people write one word as the others do.
    written = {"base": [("", "")], "extended": [], "trained": [("Deniz", " durgun"), ("Evler", " ve")]}
    assert judge(written, {"prose": ["abcd"]}) == {
        "trained": {"value": pytest.approx((24 + 8) / (12 + 8))},
        "held_out": {"value": pytest.approx(6 / 4)},
    }


def test_people_are_read_in_as_many_beginnings_of_the_same_length(
    judge: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
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
