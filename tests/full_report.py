"""A report.json in which nothing is absent, written by hand, so that a page can be drawn in a moment.

That the real one has this shape is what the tests see that draw the page of a measured one.
"""

from typing import Any

from ekle.artifacts.evaluation_report import FORMAT, EvaluationReport
from ekle.evaluation.report.criteria import criteria
from ekle.evaluation.report.verdict import verdict
from ekle.recipe.evaluation import EvaluationSettings

LETTERS = "Pijamalı hasta yağız şoföre çabucak güvendi; ÇĞIİÖŞÜ, âîû."
TOKENIZERS = ("base", "extended", "another")
MODELS = ("base", "extended", "trained", "rival")


def complete() -> dict[str, Any]:
    """A new copy each time."""
    figures: dict[str, Any] = {
        "format": FORMAT,
        "title": "örnek",
        "ekle": "0",
        "settings": EvaluationSettings().model_dump(),
        "texts": {
            "held_out": {name: _text() for name in ("haber", "masal")},
            "other": {name: _text() for name in ("en", "code")},
        },
        "provenance": {
            "measured": {
                "base": {"place": "Qwen3-0.6B", "tokenizer": "ab" * 32},
                "extended": {"place": "mine/4-extension/model", "tokenizer": "cd" * 32},
                "trained": {"place": "mine/7-release/model"},
                "rival": {"place": "someone/rival"},
                "another": {"place": "another", "tokenizer": "ef" * 32},
            },
            "files": {"list": "01" * 32},
            "device": "a CPU, 2 threads",
            "dtype": "float32",
            "versions": {"torch": "2", "transformers": "5", "tokenizers": "0.22"},
            "sacrebleu": {"bleu": "nrefs:1|case:mixed", "chrf": "nrefs:1|case:mixed"},
        },
        "vocabulary": {
            "size": 20,
            "text": {"bytes": 9_000},
            "growth": [{"size": n, "tokens": 100 - n} for n in (0, 10, 20)],
            "size_trade_offs": [
                {"size": n, "learning_text": 0.01 * n, "lines_changed": {"en": 0.001 * n}}
                for n in (0, 10, 20)
            ],
        },
        "training": {
            "base": [{"step": n, "loss": 9.0 - n} for n in range(4)],
            "extended": _log(),
            "control": _log(),
        },
        "control": _control(),
        "tokens": _tokens(),
        "drift": {name: _drift() for name in ("en", "code")},
        "morphology": _morphology(),
        "peers": {"another": _peer()},
        "preservation": {"tensors": 25, "rows": 400, "changed": [], "base_changed": []},
        "contamination": {name: _contamination(0.0) for name in ("haber", "en", "code")}
        | {"masal": _contamination(0.3)}
        | {"task: squad": _contamination(0.2)},
        "models": {
            name: {"parameters": 10**9, "row_parameters": 10**8, "weight_bytes": 2 * 10**9} for name in MODELS
        },
        "likelihood": {name: _likelihood(place) for place, name in enumerate((*MODELS, "control"))},
        "divergence": {
            name: {
                "en": {
                    **{key: between(0.1) for key in ("kl", "new_mass", "same_top_token")},
                    "tokens": 90,
                    "documents": 9,
                    "left_out": 1,
                }
            }
            for name in ("extended", "trained")
        },
        "generation": {
            name: [
                {"prompt": f"Deniz {n}", "text": f" {LETTERS}", "tokens": 9, "characters": 60} for n in (1, 2)
            ]
            for name in MODELS
        },
        "generated": {name: _generated() for name in (*MODELS, "held_out")},
        "translation": {name: {way: _translated(name) for way in ("tr-en", "en-tr")} for name in MODELS},
        "tasks": {
            "sınav": _task("tr", "exam", "accuracy"),
            "neden": _task("tr", "cause", "accuracy", "accuracy_bytes"),
            "squad": {**_task("en", "extraction", "exact_match", "f1"), "unanswered": 3},
        },
        "inference": {
            "models": ["base", "trained"],
            "passages": 12,
            "characters": 3_000,
            "interleaved": True,
            "prefill": {"base": 900.0, "trained": 1_000.0, "gain": between(0.1)},
            "generation": {"base": 90.0, "trained": 120.0, "gain": between(0.3)},
            "kv_cache": {"base": 2_000.0, "trained": 1_300.0, "saved": between(0.35)},
            "weights": {"base": 2_000_000, "trained": 2_200_000, "change": 0.1},
            "break_even_characters": 285_714.0,
        },
    }
    figures |= {"criteria": [], "verdict": []}
    figures["criteria"] = [row.dump() for row in criteria(EvaluationReport.model_validate(figures))]
    figures["verdict"] = [sentence.dump() for sentence in verdict(EvaluationReport.model_validate(figures))]
    return figures


def between(value: float) -> dict[str, float]:
    """A figure with its interval."""
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def _text() -> dict[str, Any]:
    return {"documents": 20, "bytes": 5_000, "sha256": "23" * 32}


def _trade(size: int) -> dict[str, Any]:
    return {"size": size, "learning_text": size / 100, "lines_changed": {"en": size / 1_000}}


def _control() -> dict[str, Any]:
    """Ours begins later and higher, and crosses the control by compute and by bytes."""
    curves = {"ours": (2e12, 2.6, 4_000), "control": (0.0, 2.0, 3_000)}
    return {
        name: [
            {
                "step": step,
                "flops": start + 1e12 * step,
                "text_bytes": each * step,
                "bits_per_byte": first - (first - 1.2 if name == "ours" else 0.6) * step / 30,
            }
            for step in (0, 10, 20, 30)
        ]
        for name, (start, first, each) in curves.items()
    } | {
        "end_flops": 3e13,
        "difference": -0.0714,
        "crossing_flops": 2.4e13,
        "crossing_share": 0.8,
        "end_bytes": 90_000,
        "difference_by_bytes": -0.0107,
        "crossing_bytes": 85_000,
    }


def _log() -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{"step": 0, "held_out_bits_per_byte": 2.0}]
    for step in (10, 20, 30):
        lines.append(
            {
                "step": step,
                "steps": 30,
                "seconds": 3.0 * step,
                "loss_per_token": 3.0,
                "bits_per_byte": 1.5,
                "tokens_per_second": 900.0,
                "grad_norm": 0.5,
                "clipped_share": 0.7,
                "learning_rate": 1e-4,
                "new_tokens_seen_1": 0.9,
                "new_tokens_seen_10": 0.5,
                "new_tokens_seen_100": 0.1,
                "new_rows_near_start": 0.2,
                "memory_in_use": 10**9,
                "memory_slope": 1e3,
            }
        )
        lines.append({"step": step, "held_out_bits_per_byte": 2.0 - step / 100})
    return [*lines, {"step": 31, "skipped": "its loss is nan"}]


def _tokens() -> dict[str, Any]:
    counts = {
        name: {"tokens": tokens, "bytes_per_token": 5_000 / tokens, "tokens_per_word": tokens / 600}
        for name, tokens in (("base", 1_600), ("extended", 1_000))
    }
    floor = {"tokens": 700, "tokens_per_word": 700 / 600, "saved": 0.56}
    part = {"documents": 20, "bytes": 5_000, "words": 600, **counts, "saved": between(0.375), "floor": floor}
    speed = {"base": 1e6, "extended": 1e6, "ratio": between(1.0)}
    expensive = [
        {"word": "Nücûmü'z", "why": "pre_tokenizer", "pre_tokens": ["Nücûmü", "'z"]},
        {"word": "Eksobol", "why": "unknown"},
        {"word": "inkılapları", "why": "root", "root": "inkılap", "suffixes": ["lar", "ı"]},
        {"word": "Mihrap", "why": "capital", "root": "mihrap", "suffixes": []},
        {"word": "evler", "why": "suffixes", "root": "ev", "suffixes": ["ler"]},
        {"word": "ev"},
    ]
    sentence = [{"text": "Pijamalı"}, {"text": " hasta", "new": True}]
    word = {"word": "yağız", "count": 4, "before": [" ya", "ğ", "ız"], "after": [" yağız"]}
    return {
        "by_text": {"haber": part, "masal": part},
        "all_held_out": part,
        "new_tokens": {
            "available": 20,
            "reached_by_own_text": 19,
            "reached": 20,
            "used": 11,
            "share_of_tokens": 0.4,
        },
        "speed": speed,
        "decoding": speed,
        "words": {"common": [word], "gained": [word], "expensive": [word | item for item in expensive]},
        "sentences": [{"text": f"genre {n}", "before": sentence, "after": sentence} for n in range(5)],
    }


def _drift() -> dict[str, Any]:
    example = {"before": [{"text": "a"}, {"text": "n"}], "after": [{"text": "an", "new": True}]}
    return {
        "lines": 50,
        "changed": 1,
        "share": between(0.02),
        "tokens": -0.001,
        "token_change": {"value": -0.001},
        "examples": [example],
    }


def _morphology() -> dict[str, Any]:
    kinds = {"whole": 0.1, "morphemes": 0.4, "chains": 0.2, "neither": 0.3}
    boundaries = {
        key: between(0.7) for key in ("root_intact", "no_wrong_boundary", "precision", "recall", "f1")
    }
    own = {**boundaries, "tokens": {kind: between(share) for kind, share in kinds.items()}}
    difference = {"root_intact_difference": between(0.2)}
    by = {name: own | (difference if name != "base" else {}) for name in TOKENIZERS}
    rooted = {
        name: {"root_intact": between(0.8)} | (difference if name != "base" else {}) for name in TOKENIZERS
    }
    return {
        "gold": {
            "bank.conllu": {"kind": "rooted", "words": 900, "by_tokenizer": rooted},
            "list.tsv": {"kind": "segmented", "words": 900, "by_tokenizer": by},
        },
        "lexicon": {"words": 500, "words_without_reading": 20, "by_tokenizer": by},
        "held_out": {"words": 500, "different": 300, "accepted": between(0.96), "judged": 200},
        "new_tokens": {"tokens": 20, "judged": 15, "harmony": between(0.97)},
    }


def _peer() -> dict[str, Any]:
    part = {"tokens": 1_100, "bytes_per_token": 4.5, "tokens_per_word": 1.8, "saved": between(0.31)}
    return {
        "vocabulary": 32_000,
        "by_text": {"haber": part, "masal": part},
        "all_held_out": part,
        **{key: {"base": 1e6, "extended": 9e5, "ratio": between(0.9)} for key in ("speed", "decoding")},
        "drift": {"en": between(0.9), "code": between(0.5)},
    }


def _contamination(value: float) -> dict[str, Any]:
    return {
        "documents": 20,
        "too_short": 1,
        "overlapping": between(value),
        "mostly": between(value / 2),
        "runs": value / 3,
    }


def _likelihood(place: int) -> dict[str, Any]:
    part = {
        "bits_per_byte": between(1.2 - place / 20),
        "loss_per_token": 3.0,
        "tokens": 1_000,
        "bytes": 5_000,
        "documents": 20,
        "perplexity": 20.1,
        **({"change": between(-place / 20)} if place else {}),
    }
    return dict.fromkeys(("all_held_out", "haber", "masal", "en", "code"), part)


def _generated() -> dict[str, Any]:
    words = {"words": 300, "different": 200, "accepted": between(0.9), "judged": 90, "harmony": between(0.96)}
    rest = {key: between(0.02) for key in ("repeated", "turkish", "bits_per_byte")}
    return {"samples": 24, "characters": 2_000, "words": words, **rest}


def _task(language: str, form: str, *scores: str) -> dict[str, Any]:
    models = {}
    for name in MODELS:
        own: dict[str, Any] = {}
        for score in scores:
            own[score] = between(0.6)
            if name != "base":
                own[f"{score}_difference"] = between(-0.02)
        models[name] = own
    models["trained"]["truncated"] = 3
    about = {"language": language, "format": form, "examples": 80, "shots": 5, "harness": "0.4"}
    return {**about, "models": models} | ({} if "f1" in scores else {"chance": 0.25})


def _translated(model: str) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for key, value, change in (("bleu", 8.0, 1.0), ("chrf", 30.0, -2.0)):
        scores[key] = between(value)
        if model != "base":
            scores[f"{key}_change"] = between(change)
    example = {"source": LETTERS, "reference": "A person's.", "text": "A machine's."}
    return {"pairs": 100, **scores, "examples": [example] * 3}
