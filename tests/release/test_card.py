"""The model card says what the report says, and nothing that it does not."""

import json
from typing import Any

from ekle.release.measured import measured


def share(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


ROOTS = {"base": {"root_uncut": share(0.44)}, "extended": {"root_uncut": share(0.93)}}
ROW = {"target": "> 20 %", "definition": "d", "unit": "share"}
FIGURES: dict[str, Any] = {
    "morphology": {"gold": {"boun": {"by_tokenizer": ROOTS}}},
    "divergence": {"trained": {"en": {"kl": share(0.05), "new_mass": share(0.02)}}},
    "generated": {
        "trained": {"words": {"accepted": share(0.91)}},
        "held_out": {"words": {"accepted": share(0.95)}},
    },
    "translation": {
        name: {"tr-en": {"pairs": 100, "bleu": share(score), "chrf": share(2 * score)}}
        for name, score in (("base", 20.0), ("trained", 22.0))
    },
    "inference": {
        "generation": {"gain": share(0.25)},
        "kv_cache": {"saved": share(0.34)},
        "weights": {"change": 0.02},
        "break_even_characters": 2_500_000.0,
    },
    "overlap": {"wiki": {"overlapping": share(0.03)}, "law": {"documents": 0}},
    "criteria": [
        {**ROW, "name": "Faster inference", "value": share(0.25), "met": True, "certain": False},
        {**ROW, "name": "Final loss", "unit": "number", "value": {"value": 1.75}, "met": False},
        {**ROW, "name": "Unattended", "why": "unknown"},
    ],
}


def test_every_figure_of_the_report_is_on_the_card() -> None:
    text = "\n".join(measured(FIGURES)).replace("\u00a0", " ")
    for said in (
        "whose root is not cut, by `boun`: 93.0 % (92.0 to 94.0 %), base 44.0 %",
        "divergence from the base on en, where no new token occurs: 0.0500 nats a token",
        "words it writes that an analyser accepts: 91.0 % (90.0 to 92.0 %); words of held-out text 95.0 %",
        "translation tr-en, 100 sentences: BLEU 22.0 (base 20.0), chrF 44.0 (base 40.0)",
        "writing the same text, against the base: +25.0 %",
        "memory for keys and values of the same text: −34.0 %; weights: +2.0 %",
        "from 2.5 million characters in the cache",
        "at most 3.0 % (wiki)",
        "| Faster inference | > 20 % | d | 25.0 % | yes, unsure |",
        "| Final loss | > 20 % | d | 1.75 | no |",
    ):
        assert said in text
    assert "Unattended" not in text


def test_an_empty_report_says_nothing() -> None:
    assert measured({}) == []
    assert measured(json.loads('{"criteria": [{"name": "x", "why": "y"}], "overlap": {"a": {}}}')) == []
