"""The model card says what the report says, and nothing that it does not."""

from typing import Any

from partial_report import report_of

from ekle.recipe import Recipe
from ekle.release.card import Origin, measured, model_card


def share(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


ROOTS = {"base": {"root_intact": share(0.44)}, "extended": {"root_intact": share(0.93)}}
ROW = {"target": "> 20 %", "definition": "d", "unit": "share"}
FIGURES: dict[str, Any] = {
    "morphology": {"gold": {"boun": {"by_tokenizer": ROOTS}}},
    "divergence": {"trained": {"en": {"kl": share(0.05), "new_mass": share(0.02)}}},
    "generated": {
        "trained": {"words": {"accepted": share(0.91)}},
        "held_out": {"words": {"accepted": share(0.95)}},
    },
    "translation": {
        name: {"tr-en": {"pairs": 100, "bleu": share(score), "chrf": share(2 * score)} | change}
        for name, score, change in (("base", 20.0, {}), ("trained", 22.0, {"chrf_change": share(4.0)}))
    },
    "drift": {"en": {"lines": 2_000, "share": share(0.02)}},
    "tasks": {
        "arc": {
            "language": "en",
            "examples": 80,
            "chance": 0.25,
            "models": {
                "base": {"accuracy": share(0.6)},
                "trained": {"accuracy": share(0.4), "accuracy_difference": share(-0.2)},
            },
        }
    },
    "inference": {
        "generation": {"gain": share(0.25)},
        "kv_cache": {"saved": share(0.34)},
        "weights": {"change": 0.02},
        "break_even_characters": 2_500_000.0,
    },
    "contamination": {"wiki": {"overlapping": share(0.03)}, "law": {"documents": 0}},
    "criteria": [
        {**ROW, "name": "Faster inference", "value": share(0.25), "met": True, "certain": False},
        {**ROW, "name": "Final loss", "unit": "number", "value": {"value": 1.75}, "met": False},
        {**ROW, "name": "Unattended", "why": "unknown"},
    ],
}


def test_every_figure_of_the_report_is_on_the_card() -> None:
    text = "\n".join(measured(report_of(FIGURES))).replace("\u00a0", " ")
    for said in (
        *("`boun`: 93.0 % (92.0 to 94.0 %), base 44.0 %", "0.0500 nats"),
        *("91.0 % (90.0 to 92.0 %)", "held-out text 95.0 %"),
        *("tr-en, 100 sentences: BLEU 22.0 (base 20.0)", "chrF 44.0 (base 40.0; +4.0 points (+4.0 to +4.0))"),
        "2.0 % (1.0 to 3.0 %) of 2,000",
        "| arc (English), accuracy | 80 | 25.0 % | 60.0 % (59.0 to 61.0 %) | 40.0 % (39.0 to 41.0 %) | "
        "−20.0 points (−21.0 to −19.0) |",
        *("+25.0 %", "−34.0 %; weights: +2.0 %", "2.5 million characters", "3.0 % (wiki)"),
        "| Faster inference | > 20 % | d | 25.0 % | yes, unsure |",
        "| Final loss | > 20 % | d | 1.75 | no |",
    ):
        assert said in text
    assert "Unattended" not in text


def test_bits_per_byte_stand_with_their_intervals_and_what_changed() -> None:
    figures = {
        "likelihood": {
            "base": {"en": {"bits_per_byte": share(1.0)}},
            "trained": {"en": {"bits_per_byte": share(1.1), "change": share(0.1)}},
        }
    }
    extension = {"first_new_id": 400, "rows": 420, "size": 20}
    for found, row in (
        (figures, "| en | 1.000 (0.990 to 1.010) | 1.100 (1.090 to 1.110) | +10.0 % (9.0 to 11.0 %) |"),
        ({"likelihood": {"base": figures["likelihood"]["base"]}}, "| en | 1.000 (0.990 to 1.010) |\n"),
    ):
        card = model_card(Recipe(name="x"), extension, report_of(found), Origin("b", "qwen3", None))
        assert row in card.replace("\u00a0", " ")


def test_an_empty_report_says_nothing() -> None:
    assert measured(report_of({})) == []
    assert measured(report_of({"criteria": [{"name": "x", "why": "y"}], "contamination": {"a": {}}})) == []
