"""What the base makes of written text: bits over bytes, worked by hand, of models and of people."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from ekle.evaluation.model import measure as measuring
from ekle.evaluation.model.measure import _bits_per_byte_of_generated, _Measured
from ekle.evaluation.texts import Texts
from ekle.model.scoring.bits_per_byte import Likelihood
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

SETTINGS = EvaluationSettings(prompts=["Deniz"], samples=3, resamples=20)
NATS = {"Deniz durgun": 24.0, "Evler ve": 8.0, "abcd": 6.0}  # in units of ln 2


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Any:
    def measure(model: Any, tokenizer: Any, texts: list[str], **_: Any) -> list[Likelihood]:
        return [Likelihood(NATS[text] * math.log(2), 1, len(text.encode()), 1) for text in texts]

    monkeypatch.setattr(measuring, "measure_documents", measure)
    return SimpleNamespace(loaded=(None, None))


def test_bits_are_summed_over_texts_and_divided_by_their_bytes(base: Any) -> None:
    written = {"trained": ["Deniz durgun", "Evler ve"], "held_out": ["abcd"], "empty": [], "mute": [""]}
    found = _bits_per_byte_of_generated(base, written, SETTINGS, silent())
    assert found == {
        "trained": {"value": pytest.approx((24 + 8) / (12 + 8))},
        "held_out": {"value": pytest.approx(6 / 4)},
    }


def test_people_are_read_in_as_many_beginnings_of_the_same_length() -> None:
    texts = Texts(
        {"prose": ["bir iki üç dört beş altı yedi", "a b c d e f", "kısa"], "law": ["x y z u v w"]}, {}
    )
    plan: Any = SimpleNamespace(settings=SETTINGS, texts=texts)
    measured = _Measured(plan, parts=None, reporter=silent())  # type: ignore[arg-type]
    measured.samples = {
        "base": [{"prompt": "Deniz", "text": " çok", "tokens": 1, "ended": True}],
        "trained": [{"prompt": "Deniz", "text": " bu sabah çok durgun", "tokens": 4, "ended": True}],
    }
    written = measured.written()
    assert written["trained"] == ["Deniz bu sabah çok durgun"]
    # Words on average: (2 + 5) / 2, to the even number.
    assert sorted(written["held_out"]) == ["a b c d", "bir iki üç dört", "x y z u"]
