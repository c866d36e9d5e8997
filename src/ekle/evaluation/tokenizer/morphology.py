"""Where tokenizers cut words, held against gold that the user names and against the lexicon's readings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ekle.bpe.measure import new_token_ids
from ekle.bpe.segmentation import is_byte_level
from ekle.evaluation.model.turkish_words import (
    lexicon_segmentations,
    measure_harmony,
    measure_words,
    words_of,
)
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.tokenizer.segmentation import BoundaryCounts, count_boundaries, roots_uncut
from ekle.evaluation.trust.intervals import clustered, ratio
from ekle.recipe.evaluation import EvaluationSettings
from ekle.turkish.gold import RootedWord, SegmentedWord, read_gold

_SHARES = {
    "root_uncut": ("root_intact", "inflected"),
    "no_wrong_cut": ("without_wrong", "words"),
    "precision": ("correct", "predicted"),
    "recall": ("correct", "expected"),
}
"""By figure: the columns of `Cuts` that it is the quotient of."""

_BYTES = 50_000  # of each text, whose words are read with the lexicon; some thousand words
_TOKENS = 2_000  # new tokens that are judged; the vocabulary's own report judges all of them

_KINDS = ("whole", "morphemes", "chains")


def measure_morphology(
    tokenizers: Mapping[str, Tokenizer], texts: Mapping[str, Sequence[str]], settings: EvaluationSettings
) -> dict[str, Any]:
    """Cuts of each tokenizer against morphemes; `tokenizers` starts with the base and the extended one.

    Returns:
        `gold` by file: `kind` (segmented or rooted), `words` and `by_tokenizer`: `root_uncut`, and for
        segmented words `no_wrong_cut`, `precision`, `recall`, `f1` and `tokens` (the shares `whole`,
        `morphemes`, `chains` and `neither`). `lexicon`: the same over the running words of the held-out
        text that have a reading, and `words_without_reading`. All tokenizers but the first have
        `root_uncut_difference`, how much higher the share is than the first's, drawn over the same words.
        `new_tokens`: see `turkish_words.measure_harmony`; a draw of them. `held_out`: see
        `turkish_words.measure_words`.
        Tokenizers that do not spell bytes are left out; a share of nothing is absent.
    """
    spelled = {name: one for name, one in tokenizers.items() if is_byte_level(one)}
    figures: dict[str, Any] = {}
    if settings.gold:
        figures["gold"] = {
            Path(file).name: _gold(spelled, read_gold(Path(file)), settings) for file in settings.gold
        }
    words = [words for text in texts.values() for words in _words(text, settings)]
    if any(words):
        figures["lexicon"] = _lexicon(spelled, words, settings)
        figures["held_out"] = measure_words(words, settings.resamples, settings.seed)
    base, extended = list(tokenizers.values())[:2]
    new = sorted(new_token_ids(base, extended))
    if new:
        new = Random(settings.seed).sample(new, min(len(new), _TOKENS))
        figures["new_tokens"] = measure_harmony([extended.decode([number]) for number in new])
    return figures


def _gold(
    tokenizers: Mapping[str, Tokenizer],
    words: Sequence[SegmentedWord] | Sequence[RootedWord],
    settings: EvaluationSettings,
) -> dict[str, Any]:
    rooted = [word for word in words if isinstance(word, RootedWord)]
    segmented = [word for word in words if isinstance(word, SegmentedWord)]
    if segmented:
        counts = {name: count_boundaries(tokenizer, segmented) for name, tokenizer in tokenizers.items()}
        return {"kind": "segmented", "words": len(words), "by_tokenizer": _compared(counts, settings)}
    by_tokenizer: dict[str, Any] = {}
    first: Any = None
    for name, tokenizer in tokenizers.items():
        root_intact = roots_uncut(tokenizer, rooted).astype(np.int64)
        every = np.ones(len(root_intact))
        by_tokenizer[name] = {"root_uncut": clustered(root_intact, every, settings.resamples, settings.seed)}
        if first is None:
            first = root_intact
        else:
            difference = ratio(root_intact - first, every, settings.resamples, settings.seed)
            by_tokenizer[name]["root_uncut_difference"] = difference
    return {"kind": "rooted", "words": len(words), "by_tokenizer": by_tokenizer}


def measure_text(
    tokenizers: Mapping[str, Tokenizer], documents: Sequence[str], settings: EvaluationSettings
) -> dict[str, Any]:
    """Cuts of each tokenizer in one text against the lexicon's readings, as `measure_morphology` has them.

    Returns:
        `words`, `words_without_reading` and `by_tokenizer`; nothing where fewer than half of the words have a
        reading, because such a text is not Turkish.
    """
    words = _words(documents, settings)
    spelled = {name: one for name, one in tokenizers.items() if is_byte_level(one)}
    figures = _lexicon(spelled, words, settings) if any(words) and spelled else {}
    return figures if figures.get("words", 0) > figures.get("words_without_reading", 0) else {}


def _words(documents: Sequence[str], settings: EvaluationSettings) -> list[list[str]]:
    """The words of each document of a draw."""
    drawn = sample_documents(documents, min(settings.bytes_per_text, _BYTES), settings.seed)
    return [words_of(document) for document in drawn]


def _lexicon(
    tokenizers: Mapping[str, Tokenizer], documents: Sequence[Sequence[str]], settings: EvaluationSettings
) -> dict[str, Any]:
    """Against every reading that the lexicon has; intervals over documents."""
    running = Counter(word for words in documents for word in words)
    read = lexicon_segmentations(running)
    place = {word: number for number, word in enumerate(read)}
    groups = [[place[word] for word in words if word in place] for words in documents]
    known = sum(map(len, groups))
    figures: dict[str, Any] = {"words": known, "words_without_reading": running.total() - known}
    if known:
        counts = {
            name: count_boundaries(tokenizer, list(read.values())).grouped(groups)
            for name, tokenizer in tokenizers.items()
        }
        figures["by_tokenizer"] = _compared(counts, settings)
    return figures


def _compared(counts: Mapping[str, BoundaryCounts], settings: EvaluationSettings) -> dict[str, Any]:
    """The figures by tokenizer; whole roots are held against the first's, word by word."""
    figures: dict[str, Any] = {}
    first: BoundaryCounts | None = None
    for name, own in counts.items():
        figures[name] = shares_of(own, settings)
        if first is None:
            first = own
        elif own.inflected.sum():
            figures[name]["root_uncut_difference"] = ratio(
                own.root_intact - first.root_intact, own.inflected, settings.resamples, settings.seed
            )
    return figures


def shares_of(counts: BoundaryCounts, settings: EvaluationSettings) -> dict[str, Any]:
    """The figures over words or groups of words, each with its interval."""
    columns = counts._asdict()

    def quotient(above: Any, below: Any) -> dict[str, float]:
        return clustered(above, below, settings.resamples, settings.seed)

    figures: dict[str, Any] = {
        name: quotient(columns[above], columns[below])
        for name, (above, below) in _SHARES.items()
        if columns[below].sum()
    }
    if counts.predicted.sum() + counts.expected.sum():
        figures["f1"] = quotient(2 * counts.correct, counts.predicted + counts.expected)
    neither = counts.tokens - sum(columns[kind] for kind in _KINDS)
    kinds = {**{kind: columns[kind] for kind in _KINDS}, "neither": neither}
    figures["tokens"] = {kind: quotient(column, counts.tokens) for kind, column in kinds.items()}
    return figures
