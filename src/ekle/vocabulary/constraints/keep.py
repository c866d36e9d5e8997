"""A user's own terms, each made a single token by merges after the learned ones.

They come last because a term is shortest there: the learned merges have joined most of it already, and a term
costs one place for each of its tokens but one. A later merge changes no learned merge, so nothing else moves.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tokenizers import Tokenizer

from ekle.bpe.byte_alphabet import merged_token
from ekle.bpe.learn import LearnedMerge, replace_pair
from ekle.errors import VocabularyError
from ekle.text.documents import documents

Pair = tuple[int, int]


@dataclass(frozen=True)
class KeptTerms:
    """The learned merges that stay, the merges of the terms after them, and what became of each form."""

    learned: list[LearnedMerge]
    forced: list[LearnedMerge]
    forms: list["TermForm"]


@dataclass(frozen=True)
class TermForm:
    """A term as it is written in text: after a space, or without one."""

    term: str
    text: str
    origin: str
    """`base` or `learned` where it was one token already, else `forced`."""
    tokens_before: int
    """Its tokens before it was forced."""


def read_terms(files: Sequence[str]) -> list[str]:
    """The terms of `files`, one per line, in NFC; blank lines and repeats are left out.

    Raises:
        TextError: a file is absent or not UTF-8.
    """
    lines = (line.text for file in files for line in documents([str(Path(file))]))
    return list(dict.fromkeys(unicodedata.normalize("NFC", line.strip()) for line in lines))


def check_terms(terms: Sequence[str], tokenizer: Tokenizer) -> None:
    """Refuse terms that cannot be one token because the pre-tokenizer of `tokenizer` splits them.

    Raises:
        VocabularyError: names the term and where it is split.
    """
    for term in terms:
        segments = [term[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(term)]
        if len(segments) > 1:
            reason = (
                "it crosses a space"
                if any(map(str.isspace, term))
                else f"it is split into {' | '.join(segments)}"
            )
            raise VocabularyError(
                f"{term!r} cannot be kept: {reason} before any merge; remove it from the --keep file"
            )


def keep_terms(
    terms: Sequence[str], learned: Sequence[LearnedMerge], tokens: Sequence[bytes | None], base: Tokenizer
) -> KeptTerms:
    """Make room for `terms` at the end of `learned`, so that the number of new tokens stays the same.

    Args:
        terms: checked terms; each is kept as written, with and without a space before it.
        learned: the learned merges in order.
        tokens: raw bytes of each base id.
        base: the base tokenizer.

    Raises:
        VocabularyError: a term cannot be built from the base's tokens, or the terms need more places than
            there are.
    """
    texts = [(term, text) for term in terms for text in (f" {term}", term)]
    token_ids = {text: list(base.encode(text, add_special_tokens=False).ids) for _, text in texts}
    room = len(learned)

    def force(stay: int) -> tuple[list[LearnedMerge], int]:
        if stay < 0:
            raise VocabularyError(f"the {len(terms):,} terms to keep need more than {room:,} places")
        forced = _force(token_ids, learned[:stay], tokens)
        return forced, len({merge.id for merge in forced if merge.id >= len(tokens) + stay})

    stay = room
    forced, places = force(stay)
    while stay + places > room:  # with fewer learned merges the terms need more places, so try again
        stay = room - places
        forced, places = force(stay)
    while stay + places < room:
        more, fewer = force(stay + 1)
        if stay + 1 + fewer > room:
            break
        stay, forced, places = stay + 1, more, fewer
    table = _MergeTable(learned[:stay], tokens)
    forms = [_form(term, text, token_ids[text], table) for term, text in texts]
    return KeptTerms(list(learned[:stay]), forced, forms)


def _form(term: str, text: str, token_ids: list[int], table: "_MergeTable") -> TermForm:
    tokens = len(table.apply(token_ids))
    origin = "base" if len(token_ids) == 1 else "learned" if tokens == 1 else "forced"
    return TermForm(term, text, origin, tokens)


def _force(
    token_ids: Mapping[str, list[int]], learned: Sequence[LearnedMerge], tokens: Sequence[bytes | None]
) -> list[LearnedMerge]:
    """Merges after `learned` that make every text one token; the pair that most texts share comes first."""
    table = _MergeTable(learned, tokens)
    now = {text: table.apply(ids) for text, ids in token_ids.items()}
    forced: list[LearnedMerge] = []
    while True:
        pairs: Counter[Pair] = Counter()
        for text, ids in now.items():
            allowed = [pair for pair in pairwise(ids) if table.joined(pair) is not None]
            if len(ids) > 1 and not allowed:
                raise VocabularyError(
                    f"{text.strip()!r} cannot be kept: the base splits a character of it into tokens that no "
                    "merge may join; remove it from the --keep file"
                )
            pairs.update(allowed)
        if not pairs:
            return forced
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        forced.append(table.add(best))
        now = {text: table.apply(ids) if len(ids) > 1 else ids for text, ids in now.items()}


class _MergeTable:
    """Merges in order, applied to few texts one by one."""

    def __init__(self, learned: Sequence[LearnedMerge], tokens: Sequence[bytes | None]) -> None:
        self._bytes = list(tokens) + [merge.token for merge in learned]
        self._ids = {token: number for number, token in enumerate(self._bytes) if token is not None}
        self._ranks: dict[Pair, tuple[int, int]] = {
            (merge.left, merge.right): (rank, merge.id) for rank, merge in enumerate(learned)
        }

    def joined(self, pair: Pair) -> bytes | None:
        """The bytes of a pair, or None where they are half a character."""
        return merged_token(self._bytes[pair[0]], self._bytes[pair[1]])

    def add(self, pair: Pair) -> LearnedMerge:
        """A merge of `pair` after all others; if its token exists already, the token keeps its id."""
        token = self.joined(pair)
        assert token is not None
        number = self._ids.setdefault(token, len(self._bytes))
        if number == len(self._bytes):
            self._bytes.append(token)
        self._ranks[pair] = (len(self._ranks), number)
        return LearnedMerge(*pair, number, token, 0, 0.0)

    def apply(self, token_ids: Sequence[int]) -> list[int]:
        """`token_ids` after every merge that applies, the earliest merge first."""
        now = list(token_ids)
        while True:
            fitting = [pair for pair in pairwise(now) if pair in self._ranks]
            if not fitting:
                return now
            first = min(fitting, key=lambda pair: self._ranks[pair][0])
            now = replace_pair(now, first, self._ranks[first][1])
