"""The exact list of what two tokenizers cut differently: which pieces of text, how often, into what.

A place where both pre-tokenizers cut is a border no token of either crosses. Between two such borders the
tokens are compared, so a change is a whole pre-token (or, where the pre-tokenizers differ, the smallest
stretch that is whole in both) and not the line around it.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from ekle.bpe.batches import batches
from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.measure import new_ids


@dataclass(frozen=True)
class Change:
    """A stretch of text that two tokenizers cut differently."""

    text: str
    count: int
    """Times it stands in the text, cut so."""
    before: list[str]
    """What its tokens show; bytes of a character that is cut in two are written `\\xc4`."""
    after: list[str]
    new: list[str]
    """Those of `after` that only the second tokenizer has; none where its pre-tokenizer alone did it."""


def list_changes(
    before: Tokenizer, after: Tokenizer, lines: Sequence[str], added: Collection[bytes] | None = None
) -> list[Change]:
    """Everything in `lines` that the two byte-level tokenizers cut differently, most frequent first.

    Args:
        before, after: the tokenizers.
        lines: those that are cut alike add nothing and may be left out; `measure.measure_drift` names the
            others.
        added: tokens that only the second has, as `added_tokens` gives them; asked for if not given.
    """
    counts: Counter[tuple[tuple[bytes, ...], tuple[bytes, ...]]] = Counter()
    old, new = _Reader(before), _Reader(after)
    for batch in batches(lines):
        for first, second in zip(old.read(batch), new.read(batch), strict=True):
            counts.update(_differences(first, second))
    if added is None:
        added = added_tokens(before, after) if counts else ()
    found = [
        Change(
            _shown(b"".join(first)),
            count,
            [_shown(token) for token in first],
            [_shown(token) for token in second],
            [_shown(token) for token in dict.fromkeys(second) if token in added],
        )
        for (first, second), count in counts.items()
    ]
    return sorted(found, key=lambda change: (-change.count, change.text, change.after))


def added_tokens(before: Tokenizer, after: Tokenizer) -> frozenset[bytes]:
    """The bytes of the tokens that only `after` has; takes a second."""
    reader = _Reader(after)
    return frozenset(reader.spelled(number) for number in new_ids(before, after))


@dataclass(frozen=True)
class _Line:
    """The tokens of a line, and the places (bytes before them) where pre-tokens begin."""

    tokens: list[bytes]
    ends: list[int]
    borders: set[int]


class _Reader:
    """A tokenizer's cut of lines, in bytes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._added = tokenizer.get_added_tokens_decoder()
        self._bytes: dict[str, bytes] = {}

    def read(self, lines: list[str]) -> Iterator[_Line]:
        """Each line's tokens; not encode_batch_fast, which leaves their spelling empty."""
        for encoding in self._tokenizer.encode_batch(lines, add_special_tokens=False):
            yield self._line(encoding)

    def spelled(self, number: int) -> bytes:
        """The bytes of a token."""
        return self._of(number, str(self._tokenizer.id_to_token(number)))

    def _line(self, encoding: Encoding) -> _Line:
        tokens = [self._of(*pair) for pair in zip(encoding.ids, encoding.tokens, strict=True)]
        ends: list[int] = []
        borders: set[int] = set()
        place, last = 0, object()
        for token, word in zip(tokens, encoding.word_ids, strict=True):
            if word != last:
                borders.add(place)
                last = word
            place += len(token)
            ends.append(place)
        borders.add(place)
        return _Line(tokens, ends, borders)

    def _of(self, number: int, token: str) -> bytes:
        if token not in self._bytes:
            self._bytes[token] = token.encode() if number in self._added else decode_token(token)
        return self._bytes[token]


def _differences(first: _Line, second: _Line) -> Iterator[tuple[tuple[bytes, ...], tuple[bytes, ...]]]:
    """The tokens of both between common borders, where they differ; all of them if the texts do (because
    one tokenizer normalises what the other leaves)."""
    if b"".join(first.tokens) != b"".join(second.tokens):
        yield tuple(first.tokens), tuple(second.tokens)
        return
    common = first.borders & second.borders
    at = to = 0
    while at < len(first.tokens):
        start, onto = at, to
        while first.ends[at] not in common:
            at += 1
        end = first.ends[at]
        at += 1
        while second.ends[to] < end:
            to += 1
        to += 1
        old, new = first.tokens[start:at], second.tokens[onto:to]
        if old != new:
            yield tuple(old), tuple(new)


def _shown(token: bytes) -> str:
    return token.decode(errors="backslashreplace")
