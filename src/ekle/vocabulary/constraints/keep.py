"""A user's own terms, each made a single token by merges behind the learned ones.

Behind them, because there a term is shortest: what the text taught has joined most of it already, and a
term costs
one place for each piece but one that is left. No learned merge is changed by a later one, so nothing else
moves.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tokenizers import Tokenizer

from ekle.bpe.byte_alphabet import merged_token
from ekle.bpe.learn import LearnedMerge
from ekle.errors import VocabularyError
from ekle.text.documents import documents

Pair = tuple[int, int]


@dataclass(frozen=True)
class KeptTerms:
    """The learned merges that stay, the merges of the terms behind them, and what became of each form."""

    learned: list[LearnedMerge]
    forced: list[LearnedMerge]
    forms: list["TermForm"]


@dataclass(frozen=True)
class TermForm:
    """A term as it stands in text: behind a space, or bare."""

    term: str
    text: str
    origin: str
    """`base` or `learned` where it was one token anyway, else `forced`."""
    pieces: int
    """Tokens that it took before it was forced."""


def read_terms(files: Sequence[str]) -> list[str]:
    """The terms of `files`, one a line, in NFC; blank lines and repeats are left out.

    Raises:
        TextError: a file is absent or not UTF-8.
    """
    lines = (line.text for file in files for line in documents([str(Path(file))]))
    return list(dict.fromkeys(unicodedata.normalize("NFC", line.strip()) for line in lines))


def check_terms(terms: Sequence[str], tokenizer: Tokenizer) -> None:
    """Refuse terms that cannot be one token because the pre-tokenizer of `tokenizer` cuts them.

    Raises:
        VocabularyError: names the term and where it is cut.
    """
    for term in terms:
        segments = [term[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(term)]
        if len(segments) > 1:
            reason = (
                "it crosses a space"
                if any(map(str.isspace, term))
                else f"it is cut into {' | '.join(segments)}"
            )
            raise VocabularyError(
                f"{term!r} cannot be kept: {reason} before any merge; remove it from the --keep file"
            )


def keep_terms(
    terms: Sequence[str], learned: Sequence[LearnedMerge], tokens: Sequence[bytes | None], base: Tokenizer
) -> KeptTerms:
    """Make room for `terms` at the end of `learned`, so that all merges together give as many tokens as
    before.

    Args:
        terms: checked terms; each is kept as written, behind a space and bare.
        learned: the learned merges in order.
        tokens: raw bytes of each base id.
        base: the base tokenizer.

    Raises:
        VocabularyError: a term cannot be built from the base's pieces, or the terms need more places than
            there are.
    """
    texts = [(term, text) for term in terms for text in (f" {term}", term)]
    segments = {text: list(base.encode(text, add_special_tokens=False).ids) for _, text in texts}
    room = len(learned)

    def force(stay: int) -> tuple[list[LearnedMerge], int]:
        if stay < 0:
            raise VocabularyError(f"the {len(terms):,} terms to keep need more than {room:,} places")
        forced = _force(segments, learned[:stay], tokens)
        return forced, len({merge.id for merge in forced if merge.id >= len(tokens) + stay})

    stay = room
    forced, places = force(stay)
    while stay + places > room:  # fewer learned merges leave the terms in more pieces, so ask again
        stay = room - places
        forced, places = force(stay)
    while stay + places < room:
        more, fewer = force(stay + 1)
        if stay + 1 + fewer > room:
            break
        stay, forced, places = stay + 1, more, fewer
    table = _MergeTable(learned[:stay], tokens)
    forms = [_form(term, text, segments[text], table) for term, text in texts]
    return KeptTerms(list(learned[:stay]), forced, forms)


def _form(term: str, text: str, token_ids: list[int], table: "_MergeTable") -> TermForm:
    pieces = len(table.apply(token_ids))
    origin = "base" if len(token_ids) == 1 else "learned" if pieces == 1 else "forced"
    return TermForm(term, text, origin, pieces)


def _force(
    segments: Mapping[str, list[int]], learned: Sequence[LearnedMerge], tokens: Sequence[bytes | None]
) -> list[LearnedMerge]:
    """Merges behind `learned` that leave every text in one piece; the pair that most texts share comes
    first."""
    table = _MergeTable(learned, tokens)
    now = {text: table.apply(token_ids) for text, token_ids in segments.items()}
    forced: list[LearnedMerge] = []
    while True:
        pairs: Counter[Pair] = Counter()
        for text, pieces in now.items():
            able = [pair for pair in pairwise(pieces) if table.joined(pair) is not None]
            if len(pieces) > 1 and not able:
                raise VocabularyError(
                    f"{text.strip()!r} cannot be kept: the base cuts a character of it in pieces that no "
                    "merge may join; remove it from the --keep file"
                )
            pairs.update(able)
        if not pairs:
            return forced
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        forced.append(table.add(best))
        now = {text: table.apply(pieces) if len(pieces) > 1 else pieces for text, pieces in now.items()}


class _MergeTable:
    """Merges in order, applied to few texts the plain way."""

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
        """A merge of `pair` behind all others; its token may exist already and then keeps its id."""
        token = self.joined(pair)
        assert token is not None
        number = self._ids.setdefault(token, len(self._bytes))
        if number == len(self._bytes):
            self._bytes.append(token)
        self._ranks[pair] = (len(self._ranks), number)
        return LearnedMerge(*pair, number, token, 0, 0.0)

    def apply(self, pieces: Sequence[int]) -> list[int]:
        """`pieces` after every merge that applies, the earliest merge first."""
        now = list(pieces)
        while True:
            fit = [self._ranks[pair] for pair in pairwise(now) if pair in self._ranks]
            if not fit:
                return now
            rank, number = min(fit)
            out: list[int] = []
            for piece in now:
                if out and self._ranks.get((out[-1], piece), (-1, 0))[0] == rank:
                    out[-1] = number
                else:
                    out.append(piece)
            now = out
