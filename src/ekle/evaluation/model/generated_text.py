"""Whether generated text is Turkish, in its words and as a whole, compared with held-out text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ekle.artifacts.evaluation_report import HUMAN_TEXT, GeneratedText
from ekle.evaluation.model.turkish_words import measure_words, words_of
from ekle.evaluation.trust.intervals import clustered, share
from ekle.recipe.evaluation import EvaluationSettings

_NGRAM = 4
_LEAST_LETTERS = 20  # the language of shorter text cannot be identified


@dataclass(frozen=True)
class Sample:
    """A sampled continuation."""

    prompt: str
    text: str
    """The continuation alone."""
    tokens: int
    ended: bool
    """Whether it ended before `evaluation.sample_tokens` tokens."""


def measure_generated(
    samples: Mapping[str, Sequence[Sample]], held_out: Sequence[str], settings: EvaluationSettings
) -> dict[str, GeneratedText]:
    """Figures of the text that each model generated, and of held-out text in excerpts of the same length.

    Args:
        samples: by model, what `generation.generate_sampled` gives; each has a prompt of its own, so
            intervals are over samples, and for held-out text over documents.
        held_out: documents that people wrote.
        settings: for the intervals.

    Returns:
        By model, and under `held_out` for text that people wrote.
    """
    figures: dict[str, GeneratedText] = {}
    for name, drawn in samples.items():
        own = [[sample.text] for sample in drawn]
        figures[name] = _figures(own, [words_of(_whole_words(sample)) for sample in drawn], settings)
    length = max(mean_words(sample.text for drawn in samples.values() for sample in drawn), _NGRAM)
    excerpts = [
        [" ".join(words[at : at + length]) for at in range(0, max(len(words) - length + 1, 1), length)]
        for words in map(str.split, held_out)
    ]
    if excerpts:
        words = [[word for excerpt in own for word in words_of(excerpt)] for own in excerpts]
        figures[HUMAN_TEXT] = _figures(excerpts, words, settings)
    return figures


def mean_words(texts: Iterable[str]) -> int:
    """The mean number of words of a text, rounded; 0 where there is no text."""
    lengths = [len(text.split()) for text in texts]
    return round(sum(lengths) / max(len(lengths), 1))


def repeated_ngrams(text: str) -> tuple[int, int]:
    """How many runs of four words occur earlier in `text`, and how many runs there are."""
    words = text.split()
    grams = [tuple(words[at : at + _NGRAM]) for at in range(len(words) - _NGRAM + 1)]
    return len(grams) - len(set(grams)), len(grams)


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the language of `text` (py3langid); None where there is too little of it."""
    if sum(map(str.isalpha, text)) < _LEAST_LETTERS:
        return None
    language: str = _identifier().classify(text)[0]
    return language


def _figures(
    texts: Sequence[Sequence[str]], words: Sequence[Sequence[str]], settings: EvaluationSettings
) -> GeneratedText:
    """Figures of excerpts by document, and of the words of each document; resamples draw documents."""
    excerpts = [excerpt for own in texts for excerpt in own]
    runs = np.array([np.sum([repeated_ngrams(excerpt) for excerpt in own], axis=0) for own in texts])
    repeated = (
        clustered(runs[:, 0], runs[:, 1], settings.resamples, settings.seed)
        if runs.size and runs[:, 1].sum()
        else None
    )
    languages = [language for language in map(language_of, excerpts) if language is not None]
    return GeneratedText(
        samples=len(excerpts),
        characters=sum(map(len, excerpts)),
        words=measure_words(words, settings.resamples, settings.seed),
        repeated=repeated,
        turkish=share(languages.count("tr"), len(languages)) if languages else None,
    )


def _whole_words(sample: Sample) -> str:
    """A continuation without the end of the prompt's last word and without a truncated last word."""
    text, prompt = sample.text, sample.prompt
    if text[:1].isalpha() and prompt[-1:].isalpha():
        text = text[len(_beginning(text)) :]
    if not sample.ended:
        text = text[: len(text) - len(_beginning(text[::-1]))]
    return text


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
