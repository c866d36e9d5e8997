"""A user's own terms, each made a single token by merges after the learned ones.

They come last because a term is shortest there: the learned merges have joined most of it already, and a term
costs one place for each of its tokens but one. A later merge changes no learned merge, so nothing else moves.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.byte_alphabet import merged_token, token_text
from ekle.bpe.learn import LearnedMerge, replace_pair
from ekle.errors import VocabularyError
from ekle.text.documents import TextReader

Pair = tuple[int, int]
_NAMED = 5  # terms that one message names


@dataclass(frozen=True)
class TermForm:
    """A term as it is written in text: after a space, or without one."""

    term: str
    text: str
    token_ids: tuple[int, ...]
    """Its tokens without any new merge."""
    reason: str = ""
    """Why it cannot be one token; empty where it can."""
    origin: str = "none"
    """`base` or `learned` where it was one token already, `forced` where it was made one, else `none`."""
    tokens_before: int = 0
    """Its tokens before it was forced."""


@dataclass(frozen=True)
class KeptTerms:
    """The learned merges that stay, the merges of the terms after them, and what became of each form."""

    learned: list[LearnedMerge]
    forced: list[LearnedMerge]
    forms: list[TermForm]


def read_terms(files: Sequence[str], reader: TextReader) -> list[str]:
    """The terms of `files`, read by `reader`, one per line, in NFC; blank lines and repeats are left out.

    Raises:
        TextError: a file is absent or not UTF-8.
    """
    lines = (line.text for line in reader.documents(files, turkish=True))
    return list(dict.fromkeys(unicodedata.normalize("NFC", line.strip()) for line in lines))


def term_forms(terms: Sequence[str], base: BaseTokenizer, tokenizer: Tokenizer) -> list[TermForm]:
    """Each of `terms` with and without a space before it, and for each form whether it can be one token.

    A term needs one form that can: "#deprem" is one token only where no space precedes it, because " #" is
    split off.

    Args:
        terms: as `read_terms` gives them.
        base: the tokenizer to extend.
        tokenizer: the same with the pre-tokenizer of the vocabulary.

    Raises:
        VocabularyError: names the terms of which no form can be one token, and why.
    """
    forms: list[TermForm] = []
    refused: dict[str, str] = {}
    for term in terms:
        both = [_form(term, text, base, tokenizer) for text in (f" {term}", term)]
        forms += both
        if all(form.reason for form in both):
            refused[term] = both[-1].reason
    if refused:
        named = "; ".join(f"{term!r} cannot be kept: {why}" for term, why in list(refused.items())[:_NAMED])
        more = f"; {len(refused) - _NAMED:,} others neither" if len(refused) > _NAMED else ""
        these = "it" if len(refused) == 1 else "them"
        raise VocabularyError(f"{named}{more}; remove {these} from the file of --keep (vocabulary.keep)")
    return forms


def _form(term: str, text: str, base: BaseTokenizer, tokenizer: Tokenizer) -> TermForm:
    ids = tuple(tokenizer.encode(text, add_special_tokens=False).ids)
    return TermForm(term, text, ids, "" if len(ids) == 1 else _reason(text, ids, base, tokenizer))


def _reason(text: str, ids: Sequence[int], base: BaseTokenizer, tokenizer: Tokenizer) -> str:
    """Why no merges can make `text` one token; empty where they can."""
    contents = {number: content for content, number in base.added.items()}
    for number in ids:
        if number in contents:
            return f"{contents[number]} in it is a token by itself, before any merge"
    normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
    segments = [normal[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
    if len(segments) > 1:
        if any(map(str.isspace, text.strip())):
            return "it crosses a space, where it is split before any merge"
        shown = " | ".join(part if part == part.strip() else repr(part) for part in segments)
        return f"it is split into {shown} before any merge"
    tokens = [base.token_bytes[number] or b"" for number in ids]
    text_so_far = list(accumulate(tokens))
    whole = [place for place, so_far in enumerate(text_so_far, start=1) if token_text(so_far) is not None]
    if any(end - start > 2 for start, end in pairwise([0, *whole])):
        return "the base splits a character of it into tokens that no merge may join"
    return ""


def keep_terms(
    forms: Sequence[TermForm], learned: Sequence[LearnedMerge], tokens: Sequence[bytes | None]
) -> KeptTerms:
    """Make room for `forms` at the end of `learned`, so that the number of new tokens stays the same.

    Args:
        forms: of `term_forms`; those with a reason against them are left as they are.
        learned: the learned merges in order.
        tokens: raw bytes of each base id.

    Raises:
        VocabularyError: the terms need more places than there are.
    """
    token_ids = {form.text: list(form.token_ids) for form in forms if not form.reason}
    room = len(learned)

    def force(stay: int) -> tuple[list[LearnedMerge], int]:
        if stay < 0:
            terms = len({form.term for form in forms})
            raise VocabularyError(
                f"the {terms:,} terms to keep need more than {room:,} places; give fewer terms, or a larger "
                "--size (vocabulary.size)"
            )
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
    return KeptTerms(list(learned[:stay]), forced, [_with_origin(form, table) for form in forms])


def _with_origin(form: TermForm, table: "_MergeTable") -> TermForm:
    tokens = len(table.apply(form.token_ids))
    one = "base" if len(form.token_ids) == 1 else "learned" if tokens == 1 else "forced"
    return replace(form, origin="none" if form.reason else one, tokens_before=tokens)


def _force(
    token_ids: Mapping[str, list[int]], learned: Sequence[LearnedMerge], tokens: Sequence[bytes | None]
) -> list[LearnedMerge]:
    """Merges after `learned` that make every text one token; the pair that most texts share comes first."""
    table = _MergeTable(learned, tokens)
    now = {text: table.apply(ids) for text, ids in token_ids.items()}
    forced: list[LearnedMerge] = []
    while True:
        pairs: Counter[Pair] = Counter()
        for ids in now.values():
            pairs.update(pair for pair in pairwise(ids) if table.joined(pair) is not None)
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
