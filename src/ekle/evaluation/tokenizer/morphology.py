"""Token boundaries compared with morphemes: those of gold files, and those of the lexicon's readings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import (
    BoundaryShares,
    Figure,
    GoldMorphology,
    LexiconMorphology,
    Morphology,
    TokenKinds,
)
from ekle.bpe.measure import new_token_ids
from ekle.bpe.segmentation import is_byte_level
from ekle.evaluation.model.turkish_words import (
    lexicon_segmentations,
    measure_harmony,
    measure_words,
    words_of,
)
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.tokenizer.segmentation import BoundaryCounts, Counts, count_boundaries, roots_intact
from ekle.evaluation.trust.intervals import clustered, ratio
from ekle.recipe.evaluation import EvaluationSettings
from ekle.turkish.gold import RootedWord, SegmentedWord, read_gold

_BYTES = 50_000  # per text, whose words the lexicon reads; some thousand words
_TOKENS = 2_000  # new tokens that are judged; the vocabulary's own report judges all of them


def measure_morphology(
    tokenizers: Mapping[str, Tokenizer], texts: Mapping[str, Sequence[str]], settings: EvaluationSettings
) -> Morphology:
    """Token boundaries of each tokenizer against morphemes.

    Tokenizers that are not byte-level are left out.

    Args:
        tokenizers: by name; the first is the base, the second the extended one.
        texts: held-out documents by name.
        settings: for the files of gold segmentations, and how much text is read.
    """
    spelled = {name: one for name, one in tokenizers.items() if is_byte_level(one)}
    words = [words for text in texts.values() for words in _words(text, settings)]
    base, extended = list(tokenizers.values())[:2]
    new = sorted(new_token_ids(base, extended))
    new = Random(settings.seed).sample(new, min(len(new), _TOKENS))
    gold = {Path(file).name: _gold(spelled, read_gold(Path(file)), settings) for file in settings.gold}
    return Morphology(
        gold=gold or None,
        lexicon=_lexicon(spelled, words, settings) if any(words) else None,
        held_out=measure_words(words, settings.resamples, settings.seed) if any(words) else None,
        new_tokens=measure_harmony([extended.decode([number]) for number in new]) if new else None,
    )


def _gold(
    tokenizers: Mapping[str, Tokenizer],
    words: Sequence[SegmentedWord] | Sequence[RootedWord],
    settings: EvaluationSettings,
) -> GoldMorphology:
    rooted = [word for word in words if isinstance(word, RootedWord)]
    segmented = [word for word in words if isinstance(word, SegmentedWord)]
    if segmented:
        counts = {name: count_boundaries(tokenizer, segmented) for name, tokenizer in tokenizers.items()}
        compared = _compared(counts, settings)
        return GoldMorphology(kind="segmented", words=len(words), by_tokenizer=compared)
    by_tokenizer: dict[str, BoundaryShares] = {}
    first: NDArray[np.int64] | None = None
    every = np.ones(len(rooted))
    for name, tokenizer in tokenizers.items():
        intact = roots_intact(tokenizer, rooted).astype(np.int64)
        first = intact if first is None else first
        by_tokenizer[name] = BoundaryShares(
            root_intact=clustered(intact, every, settings.resamples, settings.seed),
            root_intact_difference=None
            if intact is first
            else ratio(intact - first, every, settings.resamples, settings.seed),
        )
    return GoldMorphology(kind="rooted", words=len(words), by_tokenizer=by_tokenizer)


def measure_text(
    tokenizers: Mapping[str, Tokenizer], documents: Sequence[str], settings: EvaluationSettings
) -> dict[str, BoundaryShares]:
    """Token boundaries of each tokenizer in one text against the lexicon's readings.

    Returns:
        By tokenizer. Empty where fewer than half of the words have a reading, because such a text is not
        Turkish.
    """
    words = _words(documents, settings)
    spelled = {name: one for name, one in tokenizers.items() if is_byte_level(one)}
    if not (any(words) and spelled):
        return {}
    found = _lexicon(spelled, words, settings)
    return (found.by_tokenizer or {}) if found.words > found.words_without_reading else {}


def _words(documents: Sequence[str], settings: EvaluationSettings) -> list[list[str]]:
    """The words of each document of a sample."""
    drawn = sample_documents(documents, min(settings.bytes_per_text, _BYTES), settings.seed)
    return [words_of(document) for document in drawn]


def _lexicon(
    tokenizers: Mapping[str, Tokenizer], documents: Sequence[Sequence[str]], settings: EvaluationSettings
) -> LexiconMorphology:
    """Against every reading that the lexicon has; intervals over documents."""
    running = Counter(word for words in documents for word in words)
    read = lexicon_segmentations(running)
    place = {word: number for number, word in enumerate(read)}
    groups = [[place[word] for word in words if word in place] for words in documents]
    known = sum(map(len, groups))
    counts = {
        name: count_boundaries(tokenizer, list(read.values())).grouped(groups)
        for name, tokenizer in (tokenizers if known else {}).items()
    }
    return LexiconMorphology(
        words=known,
        words_without_reading=running.total() - known,
        by_tokenizer=_compared(counts, settings) if known else None,
    )


def _compared(
    counts: Mapping[str, BoundaryCounts], settings: EvaluationSettings
) -> dict[str, BoundaryShares]:
    """The figures by tokenizer; intact roots are compared with the first tokenizer's, word by word."""
    figures: dict[str, BoundaryShares] = {}
    first: BoundaryCounts | None = None
    for name, own in counts.items():
        figures[name] = shares_of(own, settings)
        if first is None:
            first = own
        elif own.inflected.sum():
            difference = ratio(
                own.root_intact - first.root_intact, own.inflected, settings.resamples, settings.seed
            )
            figures[name] = figures[name].model_copy(update={"root_intact_difference": difference})
    return figures


def shares_of(counts: BoundaryCounts, settings: EvaluationSettings) -> BoundaryShares:
    """The figures over words or groups of words, each with its interval; a share of nothing is None."""

    def quotient(above: Counts, below: Counts) -> Figure | None:
        return clustered(above, below, settings.resamples, settings.seed) if below.sum() else None

    def kind(column: Counts) -> Figure:
        return clustered(column, counts.tokens, settings.resamples, settings.seed)

    neither = counts.tokens - (counts.whole + counts.morphemes + counts.chains)
    return BoundaryShares(
        root_intact=quotient(counts.root_intact, counts.inflected),
        no_wrong_boundary=quotient(counts.no_wrong_boundary, counts.words),
        precision=quotient(counts.correct, counts.predicted),
        recall=quotient(counts.correct, counts.expected),
        f1=quotient(2 * counts.correct, counts.predicted + counts.expected),
        tokens=TokenKinds(
            whole=kind(counts.whole),
            morphemes=kind(counts.morphemes),
            chains=kind(counts.chains),
            neither=kind(neither),
        ),
    )
