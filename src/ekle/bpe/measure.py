"""What a tokenizer makes of text: how many tokens, which of them, and what changes against another one.

Everything here reads any `tokenizers.Tokenizer` and plain strings. A *word* is a run of characters
between white space, so that figures do not depend on any tokenizer's idea of a word. Counts are kept
a document, because intervals are drawn over documents.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer, models

from ekle.bpe.encode import batches
from ekle.errors import TextError

Counts = NDArray[np.int64]
"""One whole number a document, shape (documents,)."""

_NEVER_MERGED = "Q"  # no Turkish letter; what follows it is no part of any suffix


@dataclass(frozen=True)
class TokenCounts:
    """Tokens, UTF-8 bytes and words of some documents; each array has shape (documents,)."""

    tokens: Counts
    bytes: Counts
    words: Counts

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes that a token stands for on average."""
        return float(self.bytes.sum() / self.tokens.sum())

    @property
    def tokens_per_word(self) -> float:
        """Tokens that a word takes on average, the space before it and punctuation included."""
        return float(self.tokens.sum() / self.words.sum())

    def saved(self, base: "TokenCounts") -> float:
        """Share of `base`'s tokens that this tokenizer does without; negative where it needs more."""
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
    """Tokens a document if every pre-token were one token.

    No vocabulary of any size can do better while the tokenizer's pre-tokenizer stands, because no
    merge crosses the border of a pre-token.
    """
    whole = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    if tokenizer.normalizer is not None:
        whole.normalizer = tokenizer.normalizer
    if tokenizer.pre_tokenizer is not None:
        whole.pre_tokenizer = tokenizer.pre_tokenizer
    return _per_document(whole, documents, len)


@dataclass(frozen=True)
class Drift:
    """Where two tokenizers cut the same lines differently."""

    lines: int
    changed: list[int]
    """Indices of the lines whose pieces differ."""
    tokens_before: Counts
    """Tokens of each line."""
    tokens_after: Counts

    @property
    def share(self) -> float:
        """Share of the lines that are cut differently."""
        return len(self.changed) / self.lines


def split_lines(documents: Iterable[str]) -> list[str]:
    """The lines of `documents` that hold more than white space."""
    return [line for text in documents for line in text.splitlines() if line.strip()]


def measure_drift(before: Tokenizer, after: Tokenizer, lines: Sequence[str]) -> Drift:
    """Compare the pieces, not the ids, that two tokenizers cut `lines` into.

    Both must be of one kind (such as byte-level), or equal pieces would be spelled differently.

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
    """How much of a text the new tokens carry, and how many of them it uses at all."""

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
    """Tokens that come out of their own text, with nothing before or behind it."""
    in_a_word: int
    """Tokens that come out so, or where a letter follows that no merge goes on with: steps to longer
    tokens, and pieces that a pre-tokenizer makes only of words that go on."""


def measure_reachability(tokenizer: Tokenizer, ids: Collection[int]) -> Reachability:
    """Encode the text of each of `ids` and see whether the id comes out; half a character never does."""
    wanted = sorted(ids)
    texts = [tokenizer.decode([number], skip_special_tokens=False) for number in wanted]
    alone = _found(tokenizer, wanted, texts)
    going_on = _found(tokenizer, wanted, [text + _NEVER_MERGED for text in texts])
    return Reachability(len(wanted), len(alone), len(alone | going_on))


def _found(tokenizer: Tokenizer, wanted: Sequence[int], texts: Sequence[str]) -> set[int]:
    """Those of `wanted` that stand in the encoding of their text."""
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return {number for number, one in zip(wanted, encodings, strict=True) if number in one.ids}


def _per_document(
    tokenizer: Tokenizer, documents: Sequence[str], figure: Callable[[Encoding], int]
) -> Counts:
    figures: list[int] = []
    for batch in batches(documents):
        figures.extend(map(figure, tokenizer.encode_batch_fast(batch, add_special_tokens=False)))
    return np.array(figures, dtype=np.int64)


_ROUNDS = 5
_PARTS = 20


@dataclass(frozen=True)
class Timing:
    """What some tokenizers need for the same parts of a text."""

    characters: int
    """Of all parts."""
    seconds: NDArray[np.float64]
    """The best time of each part, shape (tokenizers, parts)."""

    @property
    def rates(self) -> list[float]:
        """Characters a second of each tokenizer; divide two of them to compare."""
        return [self.characters / float(seconds) for seconds in self.seconds.sum(axis=1)]


def time_encoding(tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS) -> Timing:
    """Let each tokenizer encode `documents`, a few lines at once.

    Raises:
        TextError: the documents are empty.
    """
    parts = _parts(documents)

    def encode(tokenizer: Tokenizer) -> list[Callable[[], object]]:
        return [partial(tokenizer.encode_batch_fast, part, add_special_tokens=False) for part in parts]

    return _timed([encode(tokenizer) for tokenizer in tokenizers], parts, rounds)


def time_decoding(tokenizers: Sequence[Tokenizer], documents: Sequence[str], rounds: int = _ROUNDS) -> Timing:
    """Let each tokenizer decode its own ids of `documents`.

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
    """The lines of `documents` in order, dealt into at most 20 parts of about as many characters each."""
    lines = [line for text in documents for line in text.splitlines(keepends=True)]
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
    works: Sequence[Sequence[Callable[[], object]]], parts: Sequence[Sequence[str]], rounds: int
) -> Timing:
    """The best of `rounds` for each part, after one round that fills caches and is not counted.

    Args:
        works: for each tokenizer, the work on each part.
        parts: the text.
        rounds: how often each is timed.
    """
    best = np.full((len(works), len(parts)), np.inf)
    order = list(range(len(works)))
    for turn in range(rounds + 1):
        for part in range(len(parts)):
            for place in order:
                started = time.perf_counter()
                works[place][part]()
                if turn:
                    best[place, part] = min(best[place, part], time.perf_counter() - started)
        order.reverse()  # whoever comes second finds the caches of the machine in another state
    return Timing(sum(len(line) for part in parts for line in part), best)
