"""The tokens that the extended tokenizer saves, by genre, and how its new tokens are used."""

import re
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import (
    ExampleSentence,
    Floor,
    NewTokenUse,
    ShownToken,
    ShownWords,
    TextSavings,
    TokenAverages,
    TokenizerSpeed,
    TokenSavings,
    WordExample,
)
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
from ekle.bpe.segmentation import ChangedWord, Order, changed_words, count_words, token_spans
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
) -> TokenSavings:
    """Token figures of both tokenizers on the text of each genre and on all of it.

    Args:
        base, extended: the two tokenizers.
        texts: held-out documents by genre.
        settings: for the intervals, and the seed of the samples.
    """
    counts = {name: (count_tokens(base, text), count_tokens(extended, text)) for name, text in texts.items()}
    floors = {name: int(count_pre_tokens(base, text).sum()) for name, text in texts.items()}
    everything = [document for text in texts.values() for document in text]
    new = new_token_ids(base, extended)
    use, reach = measure_use(extended, everything, new), measure_reachability(extended, new)
    words = count_words(everything)
    encoding, decoding = tokenizer_speeds(base, extended, everything, settings)

    def changed(order: Order) -> list[ChangedWord]:
        return changed_words(base, extended, words, _WORDS, order)

    return TokenSavings(
        by_text={
            name: _compared(old, grown, floors[name], settings) for name, (old, grown) in counts.items()
        },
        all_held_out=_compared(
            pooled([old for old, _ in counts.values()]),
            pooled([grown for _, grown in counts.values()]),
            sum(floors.values()),
            settings,
        ),
        new_tokens=NewTokenUse(
            available=use.available,
            reached_by_own_text=reach.by_own_text,
            reached=reach.in_a_word,
            used=use.used,
            share_of_tokens=use.new / use.tokens,
        ),
        speed=encoding,
        decoding=decoding,
        words=ShownWords(
            common=[WordExample(**asdict(word)) for word in changed("common")],
            gained=[WordExample(**asdict(word)) for word in changed("gained")],
            expensive=[explain(extended, word) for word in changed("expensive")],
        ),
        sentences=[
            shown
            for name, text in texts.items()
            if (shown := _typical_sentence(name, text, base, extended, counts[name], new, settings.seed))
        ],
    )


def display_tokens(tokenizer: Tokenizer, text: str, new: frozenset[int]) -> list[ShownToken]:
    """The tokens of `text` for display; those in `new` are marked."""
    return [
        ShownToken(text=span.text, new=True if span.id in new else None)
        for span in token_spans(tokenizer, text)
    ]


def tokenizer_speeds(
    base: Tokenizer, extended: Tokenizer, documents: Sequence[str], settings: EvaluationSettings
) -> tuple[TokenizerSpeed, TokenizerSpeed]:
    """The speeds of encoding and of decoding of both, with the ratio to the base's and its interval over
    parts of the text."""
    sample = sample_documents(documents, _SPEED_BYTES, settings.seed)
    found = []
    for measure in (time_encoding, time_decoding):
        timed = measure([base, extended], sample)
        first, second = timed.rates
        quotient = ratio(timed.seconds[0], timed.seconds[1], settings.resamples, settings.seed)
        found.append(TokenizerSpeed(base=first, extended=second, ratio=quotient))
    encoding, decoding = found
    return encoding, decoding


def _compared(
    base: TokenCounts, extended: TokenCounts, floor: int, settings: EvaluationSettings
) -> TextSavings:
    """The figures of both on the same documents; the floor is the fewest tokens of any vocabulary."""
    tokens, words = int(base.tokens.sum()), int(base.words.sum())
    return TextSavings(
        documents=len(base.tokens),
        bytes=int(base.bytes.sum()),
        words=words,
        base=averages(base),
        extended=averages(extended),
        saved=saved(extended.tokens, base.tokens, settings.resamples, settings.seed),
        floor=Floor(tokens=floor, tokens_per_word=floor / words, saved=1 - floor / tokens),
    )


def averages(counts: TokenCounts) -> TokenAverages:
    """The tokens of a text, bytes per token and tokens per word."""
    return TokenAverages(
        tokens=int(counts.tokens.sum()),
        bytes_per_token=counts.bytes_per_token,
        tokens_per_word=counts.tokens_per_word,
    )


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
) -> ExampleSentence | None:
    """The sentence whose saving is nearest to that of the whole genre, so that it is no exception."""
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
    return ExampleSentence(
        text=name,
        before=display_tokens(base, sentences[best], new),
        after=display_tokens(extended, sentences[best], new),
    )
