"""What a tokenizer makes of text: how many tokens, which of them, and what changes against another one.

Everything here reads any `tokenizers.Tokenizer` and plain strings. A *word* is a run of characters
between white space, so that figures do not depend on any tokenizer's idea of a word. Counts are kept
per document, because intervals are resampled over documents.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer, models

from ekle.bpe.encode import batches
from ekle.errors import TextError
from ekle.text.lines import lines_of

Counts = NDArray[np.int64]
"""One whole number per document, shape (documents,)."""

NEVER_MERGED = "Q"
"""No Turkish letter, so no merge of Turkish joins it to the text before it."""


@dataclass(frozen=True)
class TokenCounts:
    """Tokens, UTF-8 bytes and words of some documents; each array has shape (documents,)."""

    tokens: Counts
    bytes: Counts
    words: Counts

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes per token, on average."""
        return float(self.bytes.sum() / self.tokens.sum())

    @property
    def tokens_per_word(self) -> float:
        """Tokens per word, on average; the space before it and punctuation are included."""
        return float(self.tokens.sum() / self.words.sum())

    def saved(self, base: "TokenCounts") -> float:
        """Share of `base`'s tokens that this tokenizer saves; negative where it needs more."""
        return 1.0 - float(self.tokens.sum() / base.tokens.sum())


def count_tokens(tokenizer: Tokenizer, documents: Sequence[str]) -> TokenCounts:
    """Count what `tokenizer` makes of `documents`; special tokens are not added.

    Raises:
        TextError: the documents hold no words.
    """
    words = np.array([len(text.split()) for text in documents], dtype=np.int64)
    if not words.sum():
        raise TextError("there are no words to measure in this text")
    return TokenCounts(
        tokens=_per_document(tokenizer, documents, len),
        bytes=np.array([len(text.encode()) for text in documents], dtype=np.int64),
        words=words,
    )


def count_pre_tokens(tokenizer: Tokenizer, documents: Sequence[str]) -> Counts:
    """Tokens per document if every pre-token were one token.

    No vocabulary of any size can do better with this pre-tokenizer, because no merge crosses the boundary of
    a pre-token.
    """
    whole = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    if tokenizer.normalizer is not None:
        whole.normalizer = tokenizer.normalizer
    if tokenizer.pre_tokenizer is not None:
        whole.pre_tokenizer = tokenizer.pre_tokenizer
    return _per_document(whole, documents, len)


@dataclass(frozen=True)
class Drift:
    """Where two tokenizers segment the same lines differently."""

    lines: int
    changed: list[int]
    """Indices of the lines whose tokens differ."""
    tokens_before: Counts
    """Tokens of each line."""
    tokens_after: Counts

    @property
    def share(self) -> float:
        """Share of the lines that are segmented differently."""
        return len(self.changed) / self.lines


def split_lines(documents: Iterable[str]) -> list[str]:
    """The lines of `documents` that hold more than white space."""
    return [line for text in documents for line in lines_of(text) if line.strip()]


def measure_drift(before: Tokenizer, after: Tokenizer, lines: Sequence[str]) -> Drift:
    """Compare the tokens, not the ids, that two tokenizers give for `lines`.

    Both must be of one kind (such as byte-level), or equal tokens would be spelled differently.

    Raises:
        TextError: there are no lines.
    """
    if not lines:
        raise TextError("there are no lines to compare")
    changed: list[int] = []
    tokens: list[tuple[int, int]] = []
    for batch in batches(lines):
        # Not encode_batch_fast: it leaves `tokens` empty.
        old = before.encode_batch(batch, add_special_tokens=False)
        new = after.encode_batch(batch, add_special_tokens=False)
        for first, second in zip(old, new, strict=True):
            tokens.append((len(first), len(second)))
            if len(first) != len(second) or first.tokens != second.tokens:
                changed.append(len(tokens) - 1)
    return Drift(len(lines), changed, *np.array(tokens, dtype=np.int64).T)


def new_token_ids(before: Tokenizer, after: Tokenizer) -> frozenset[int]:
    """Ids of the tokens that only `after` has; added tokens and placeholders do not count."""
    old = before.get_vocab()
    added = after.get_added_tokens_decoder().keys()
    return frozenset(
        number
        for token, number in after.get_vocab().items()
        if token not in old and number not in added and not (token.startswith("<|") and token.endswith("|>"))
    )


@dataclass(frozen=True)
class NewTokenUse:
    """How many tokens of a text are new ones, and how many new tokens it uses at all."""

    tokens: int
    new: int
    """Tokens of the text that are new ones."""
    used: int
    """Different new tokens that occur."""
    available: int
    """New tokens that there are."""


def measure_use(tokenizer: Tokenizer, documents: Sequence[str], ids: Collection[int]) -> NewTokenUse:
    """Count how often the tokens `ids` occur in `documents`."""
    wanted = np.zeros(max(ids, default=0) + 1, dtype=bool)
    wanted[list(ids)] = True
    occurs = np.zeros_like(wanted)
    tokens = new = 0
    for batch in batches(documents):
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            found = np.array(encoding.ids, dtype=np.int64)
            tokens += len(found)
            found = found[found < len(wanted)]
            found = found[wanted[found]]
            new += len(found)
            occurs[found] = True
    return NewTokenUse(tokens, new, int(occurs.sum()), len(ids))


def count_ids(tokenizer: Tokenizer, documents: Sequence[str], ids: int) -> Counts:
    """How often each of the first `ids` ids occurs in `documents`, shape (ids,)."""
    counts = np.zeros(ids, dtype=np.int64)
    for batch in batches(documents):
        encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        found = [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        counts += np.bincount(np.concatenate(found), minlength=ids)
    return counts


@dataclass(frozen=True)
class Reachability:
    """How many of some tokens the full pipeline (normaliser, pre-tokenizer, merges) produces from text."""

    available: int
    by_own_text: int
    """Tokens that their own text gives, with nothing before or after it."""
    in_a_word: int
    """These, and those that their text gives where a letter follows that no merge joins: steps to longer
    tokens, and parts that a pre-tokenizer splits off only inside longer words."""


def measure_reachability(tokenizer: Tokenizer, ids: Collection[int]) -> Reachability:
    """Encode the text of each of `ids` and see whether it gives the id; half a character never does."""
    wanted = sorted(ids)
    texts = [tokenizer.decode([number], skip_special_tokens=False) for number in wanted]
    alone = produced_ids(tokenizer, wanted, texts)
    continued = produced_ids(tokenizer, wanted, [text + NEVER_MERGED for text in texts])
    return Reachability(len(wanted), len(alone), len(alone | continued))


def produced_ids(tokenizer: Tokenizer, ids: Sequence[int], texts: Sequence[str]) -> set[int]:
    """Those of `ids` that are in the encoding of their text; `texts` has one text for each id."""
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return {number for number, encoding in zip(ids, encodings, strict=True) if number in encoding.ids}


def _per_document(tokenizer: Tokenizer, documents: Sequence[str], count: Callable[[Encoding], int]) -> Counts:
    counts: list[int] = []
    for batch in batches(documents):
        counts.extend(map(count, tokenizer.encode_batch_fast(batch, add_special_tokens=False)))
    return np.array(counts, dtype=np.int64)


_ROUNDS = 5
_PARTS = 20


@dataclass(frozen=True)
class Timing:
    """The time that some tokenizers need for the same parts of a text."""

    characters: int
    """Characters of all parts together."""
    seconds: NDArray[np.float64]
    """The best time of each part, shape (tokenizers, parts)."""

    @property
    def rates(self) -> list[float]:
        """Characters per second of each tokenizer; divide two of them to compare."""
        return [self.characters / float(seconds) for seconds in self.seconds.sum(axis=1)]


def time_encoding(tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS) -> Timing:
    """Time each tokenizer as it encodes `documents`, in parts.

    Raises:
        TextError: the documents are empty.
    """
    parts = _parts(documents)

    def encode(tokenizer: Tokenizer) -> list[Callable[[], object]]:
        return [partial(tokenizer.encode_batch_fast, part, add_special_tokens=False) for part in parts]

    return _timed([encode(tokenizer) for tokenizer in tokenizers], parts, rounds)


def time_decoding(tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS) -> Timing:
    """Time each tokenizer as it decodes its own ids of `documents`.

    Raises:
        TextError: the documents are empty.
    """
    parts = _parts(documents)

    def decode(tokenizer: Tokenizer) -> list[Callable[[], object]]:
        ids = [
            [encoding.ids for encoding in tokenizer.encode_batch_fast(part, add_special_tokens=False)]
            for part in parts
        ]
        return [partial(tokenizer.decode_batch, part, skip_special_tokens=False) for part in ids]

    return _timed([decode(tokenizer) for tokenizer in tokenizers], parts, rounds)


def _parts(documents: Sequence[str]) -> list[list[str]]:
    """The lines of `documents` in order, in at most 20 parts of about equal length."""
    lines = [line for text in documents for line in re.split(r"(?<=\n)", text) if line]
    characters = sum(map(len, lines))
    if not characters:
        raise TextError("there is no text to time the tokenizers on")
    parts: list[list[str]] = [[] for _ in range(_PARTS)]
    before = 0
    for line in lines:
        parts[before * _PARTS // characters].append(line)
        before += len(line)
    return [part for part in parts if part]


def _timed(
    calls: Sequence[Sequence[Callable[[], object]]], parts: Sequence[Sequence[str]], rounds: int
) -> Timing:
    """The best of `rounds` for each part, after one round that fills caches and is not counted.

    Args:
        calls: for each tokenizer, the call to time for each part.
        parts: the text.
        rounds: how often each call is timed.
    """
    best = np.full((len(calls), len(parts)), np.inf)
    order = list(range(len(calls)))
    for turn in range(rounds + 1):
        for part in range(len(parts)):
            for place in order:
                started = time.perf_counter()
                calls[place][part]()
                if turn:
                    best[place, part] = min(best[place, part], time.perf_counter() - started)
        order.reverse()  # the tokenizer that comes second finds the CPU's caches in another state
    return Timing(sum(len(line) for part in parts for line in part), best)
