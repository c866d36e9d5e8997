"""Whether generated text is Turkish, in words and as a whole, beside the same figures for held-out text."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ekle.evaluation.confidence import clustered, share
from ekle.evaluation.names import PEOPLE
from ekle.evaluation.turkish_words import measure_words, words_of
from ekle.recipe.evaluation import Evaluation

_GRAM = 4
_LEAST_LETTERS = 20  # shorter text has no language that could be told


def measure_generated(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], held_out: Sequence[str], settings: Evaluation
) -> dict[str, Any]:
    """Figures of the text that each model generated, and of held-out text in pieces of the same length.

    Args:
        samples: by model, what `generation.draw_samples` gives.
        held_out: documents that people wrote.
        settings: for the intervals.

    Returns:
        By model, and as `held_out`: `samples`, `characters`, `words` (see `turkish_words.measure_words`);
        `repeated`, the share of runs of four words that stand in the same sample before; `turkish`, the
        share of samples of 20 letters or more whose language is Turkish. A share of nothing is absent.
    """
    figures: dict[str, Any] = {}
    for name, drawn in samples.items():
        words = [words_of(_whole_words(sample)) for sample in drawn]
        figures[name] = _figures([sample["text"] for sample in drawn], words, settings)
    lengths = [len(sample["text"].split()) for drawn in samples.values() for sample in drawn]
    length = max(round(sum(lengths) / max(len(lengths), 1)), _GRAM)
    pieces = [
        " ".join(words[at : at + length])
        for words in map(str.split, held_out)
        for at in range(0, max(len(words) - length + 1, 1), length)
    ]
    if pieces:
        figures[PEOPLE] = _figures(pieces, [words_of(piece) for piece in pieces], settings)
    return figures


def repeated_grams(text: str) -> tuple[int, int]:
    """Runs of four words that stand in `text` before, and all runs of four words."""
    words = text.split()
    grams = [tuple(words[at : at + _GRAM]) for at in range(len(words) - _GRAM + 1)]
    return len(grams) - len(set(grams)), len(grams)


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the language of `text` (py3langid); None where there is too little of it."""
    if sum(map(str.isalpha, text)) < _LEAST_LETTERS:
        return None
    language: str = _identifier().classify(text)[0]
    return language


def _figures(texts: Sequence[str], words: Sequence[Sequence[str]], settings: Evaluation) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "samples": len(texts),
        "characters": sum(map(len, texts)),
        "words": measure_words(words, settings.resamples, settings.seed),
    }
    repeated, grams = zip(*map(repeated_grams, texts), strict=True) if texts else ((), ())
    if sum(grams):
        figures["repeated"] = clustered(repeated, grams, settings.resamples, settings.seed)
    languages = [language for language in map(language_of, texts) if language is not None]
    if languages:
        figures["turkish"] = share(languages.count("tr"), len(languages))
    return figures


def _whole_words(sample: Mapping[str, Any]) -> str:
    """A continuation without the end of the prompt's last word, and without a last word that was cut off."""
    text, prompt = sample["text"], sample["prompt"]
    if text[:1].isalpha() and prompt[-1:].isalpha():
        text = text[len(_beginning(text)) :]
    if not sample["ended"]:
        text = text[: len(text) - len(_beginning(text[::-1]))]
    return str(text)


def _beginning(text: str) -> str:
    """The letters and apostrophes that `text` starts with."""
    length = next(
        (place for place, sign in enumerate(text) if not (sign.isalpha() or sign in "'’")), len(text)
    )
    return text[:length]


@cache
def _identifier() -> Any:
    from py3langid import langid

    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
