"""What the extended tokenizer saves, by genre, and what its new tokens are good for."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ekle.bpe.measure import (
    TokenCounts,
    count_pre_tokens,
    count_tokens,
    measure_reachability,
    measure_use,
    new_token_ids,
    time_decoding,
    time_encoding,
)
from ekle.bpe.segmentation import changed_words, count_words, token_spans
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.tokenizer.expensive_words import explain
from ekle.evaluation.trust.intervals import ratio, saved
from ekle.recipe.evaluation import EvaluationSettings

_WORDS = 12
_SPEED_BYTES = 300_000
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
_SENTENCE_LENGTH = range(50, 160)  # characters: long enough to show something, short enough for a phone


def measure_savings(
    base: Tokenizer, extended: Tokenizer, texts: dict[str, list[str]], settings: EvaluationSettings
) -> dict[str, Any]:
    """Token figures of both tokenizers on the text of each genre and on all of it together.

    Returns:
        `by_text` and `together` (documents, bytes, words, `base`, `extended`, `saved`, `floor`),
        `new_tokens` (how many there are, how many the pipeline reaches, how many occur, and the share of
        the text's tokens that are new), `speed` of encoding and `decoding` in characters a second, `words`
        (`common`, `gained`, and `costly` with what `expensive_words.explain` says) and `sentences` (one a
        genre).
    """
    counts = {name: (count_tokens(base, text), count_tokens(extended, text)) for name, text in texts.items()}
    floors = {name: int(count_pre_tokens(base, text).sum()) for name, text in texts.items()}
    everything = [document for text in texts.values() for document in text]
    new = new_token_ids(base, extended)
    use, reach = measure_use(extended, everything, new), measure_reachability(extended, new)
    words = count_words(everything)
    return {
        "by_text": {
            name: _compared(old, grown, floors[name], settings) for name, (old, grown) in counts.items()
        },
        "together": _compared(
            pooled([old for old, _ in counts.values()]),
            pooled([grown for _, grown in counts.values()]),
            sum(floors.values()),
            settings,
        ),
        "new_tokens": {
            "available": use.available,
            "reached_by_own_text": reach.by_own_text,
            "reached": reach.in_a_word,
            "used": use.used,
            "share_of_tokens": use.new / use.tokens,
        },
        **tokenizer_speeds(base, extended, everything, settings),
        "words": {
            order: [asdict(word) for word in changed_words(base, extended, words, _WORDS, order)]
            for order in ("common", "gained")
        }
        | {
            "costly": [
                asdict(word) | explain(extended, word)
                for word in changed_words(base, extended, words, _WORDS, "costly")
            ]
        },
        "sentences": [
            shown
            for name, text in texts.items()
            if (shown := _typical_sentence(name, text, base, extended, counts[name], new, settings.seed))
        ],
    }


def display_tokens(tokenizer: Tokenizer, text: str, new: frozenset[int]) -> list[dict[str, Any]]:
    """The pieces of `text` for display: `text`, and `new` where the token is a new one."""
    return [
        {"text": span.text, "new": True} if span.id in new else {"text": span.text}
        for span in token_spans(tokenizer, text)
    ]


def tokenizer_speeds(
    base: Tokenizer, extended: Tokenizer, documents: Sequence[str], settings: EvaluationSettings
) -> dict[str, dict[str, Any]]:
    """`speed` of encoding and `decoding` of both in characters a second, and the `ratio` to the base's with
    its interval over parts of the text."""
    sample = sample_documents(documents, _SPEED_BYTES, settings.seed)
    figures: dict[str, dict[str, Any]] = {}
    for key, measure in (("speed", time_encoding), ("decoding", time_decoding)):
        timed = measure([base, extended], sample)
        first, second = timed.rates
        quotient = ratio(timed.seconds[0], timed.seconds[1], settings.resamples, settings.seed)
        figures[key] = {"base": first, "extended": second, "ratio": quotient}
    return figures


def _compared(
    base: TokenCounts, extended: TokenCounts, floor: int, settings: EvaluationSettings
) -> dict[str, Any]:
    """The figures of both on the same documents; the floor is what no vocabulary can beat."""
    tokens = int(base.tokens.sum())
    return {
        "documents": len(base.tokens),
        "bytes": int(base.bytes.sum()),
        "words": int(base.words.sum()),
        "base": averages(base),
        "extended": averages(extended),
        "saved": saved(extended.tokens, base.tokens, settings.resamples, settings.seed),
        "floor": {
            "tokens": floor,
            "tokens_per_word": floor / int(base.words.sum()),
            "saved": 1 - floor / tokens,
        },
    }


def averages(counts: TokenCounts) -> dict[str, Any]:
    """`tokens`, `bytes_per_token` and `tokens_per_word`."""
    return {
        "tokens": int(counts.tokens.sum()),
        "bytes_per_token": counts.bytes_per_token,
        "tokens_per_word": counts.tokens_per_word,
    }


def pooled(parts: Sequence[TokenCounts]) -> TokenCounts:
    """Counts of several texts as those of one."""
    return TokenCounts(
        tokens=np.concatenate([part.tokens for part in parts]),
        bytes=np.concatenate([part.bytes for part in parts]),
        words=np.concatenate([part.words for part in parts]),
    )


def _typical_sentence(
    name: str,
    documents: list[str],
    base: Tokenizer,
    extended: Tokenizer,
    counts: tuple[TokenCounts, TokenCounts],
    new: frozenset[int],
    seed: int,
) -> dict[str, Any] | None:
    """The sentence that saves what the whole genre saves, as nearly as one does: no show-piece."""
    sentences = [
        sentence
        for document in sample_documents(documents, 100_000, seed)
        for sentence in _SENTENCE.split(document)
        if len(sentence) in _SENTENCE_LENGTH
    ]
    if not sentences:
        return None
    before, after = count_tokens(base, sentences).tokens, count_tokens(extended, sentences).tokens
    wanted = counts[1].saved(counts[0])
    best = int(np.argmin(np.abs(1 - after / before - wanted)))
    return {
        "text": name,
        "before": display_tokens(base, sentences[best], new),
        "after": display_tokens(extended, sentences[best], new),
    }
