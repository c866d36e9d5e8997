"""How tokenizers segment a text: the visible tokens, and what two of them segment differently."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from tokenizers import Encoding, Tokenizer, decoders

from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.encode import batches
from ekle.bpe.measure import new_token_ids

Order = Literal["common", "gained", "costly"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True)
class TokenSpan:
    """One token of a text and what it shows."""

    id: int
    text: str
    """The characters of the token; bytes of a character that is cut in two are written `\\xc4`."""


def is_byte_level(tokenizer: Tokenizer) -> bool:
    """Whether the token strings spell raw bytes, one character a byte."""
    return isinstance(tokenizer.decoder, decoders.ByteLevel)


def token_spans(tokenizer: Tokenizer, text: str) -> list[TokenSpan]:
    """The tokens of `text` in order; joined, their texts give the text back (in NFC).

    Only where a token ends inside a character does the join show that character's bytes instead.
    """
    text = unicodedata.normalize("NFC", text)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    if not is_byte_level(tokenizer):
        return [
            TokenSpan(number, text[start:end])
            for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
        ]
    added = tokenizer.get_added_tokens_decoder()
    raw = text.encode()
    spans: list[TokenSpan] = []
    place = 0
    for number, token in zip(encoding.ids, encoding.tokens, strict=True):
        length = len(token.encode()) if number in added else len(token)
        spans.append(TokenSpan(number, raw[place : place + length].decode(errors="backslashreplace")))
        place += length
    return spans


@dataclass(frozen=True)
class ChangedWord:
    """A word that two tokenizers cut differently, with a space before it as in running text."""

    word: str
    count: int
    """Times it occurs in the text."""
    before: list[str]
    after: list[str]

    @property
    def saved(self) -> int:
        """Tokens saved each time it occurs."""
        return len(self.before) - len(self.after)


def count_words(documents: Iterable[str]) -> Counter[str]:
    """How often each word occurs; a word is letters, with apostrophes inside ("Ankara'da")."""
    counts: Counter[str] = Counter()
    for text in documents:
        counts.update(_WORD.findall(text))
    return counts


def changed_words(
    before: Tokenizer,
    after: Tokenizer,
    words: Counter[str],
    limit: int,
    order: Order,
) -> list[ChangedWord]:
    """Words that the two tokenizers cut differently, at most `limit` of them.

    `common` starts with the most frequent words, `gained` with those that lose most tokens, `costly`
    with those that still take most tokens, changed or not, of more than one. The last two leave out words
    that occur once, because the longest of those are slips of the keyboard.
    """
    ranked = words.most_common()
    spelled = [f" {word}" for word, _ in ranked]
    old, new = (
        [len(encoding) for encoding in tokenizer.encode_batch_fast(spelled, add_special_tokens=False)]
        for tokenizer in (before, after)
    )
    places = range(len(ranked))  # the most frequent first; the sorts below are stable
    repeated = [place for place in places if ranked[place][1] > 1]
    match order:
        case "common":
            chosen = [place for place in places if old[place] != new[place]]
        case "gained":
            chosen = [place for place in repeated if new[place] < old[place]]
            chosen.sort(key=lambda place: new[place] - old[place])
        case "costly":
            chosen = [place for place in repeated if new[place] > 1]
            chosen.sort(key=lambda place: -new[place])
        case _:
            assert_never(order)
    return [
        ChangedWord(*ranked[place], _token_texts(before, spelled[place]), _token_texts(after, spelled[place]))
        for place in chosen[:limit]
    ]


def _token_texts(tokenizer: Tokenizer, text: str) -> list[str]:
    return [span.text for span in token_spans(tokenizer, text)]


@dataclass(frozen=True)
class SegmentationChange:
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
) -> list[SegmentationChange]:
    """Everything in `lines` that the two byte-level tokenizers cut differently, most frequent first.

    Args:
        before, after: the tokenizers.
        lines: those that are cut alike add nothing and may be left out; `measure.measure_drift` names the
            others.
        added: tokens that only the second has, as `added_tokens` gives them; asked for if not given.
    """
    counts: Counter[tuple[tuple[bytes, ...], tuple[bytes, ...]]] = Counter()
    old, new = _ByteEncoder(before), _ByteEncoder(after)
    for batch in batches(lines):
        for first, second in zip(old.read(batch), new.read(batch), strict=True):
            counts.update(_differences(first, second))
    if added is None:
        added = added_tokens(before, after) if counts else ()
    found = [
        SegmentationChange(
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
    reader = _ByteEncoder(after)
    return frozenset(reader.token_bytes(number) for number in new_token_ids(before, after))


@dataclass(frozen=True)
class _EncodedLine:
    """The tokens of a line, and the places (bytes before them) where pre-tokens begin."""

    tokens: list[bytes]
    ends: list[int]
    boundaries: set[int]


class _ByteEncoder:
    """A tokenizer's cut of lines, in bytes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._added = tokenizer.get_added_tokens_decoder()
        self._bytes: dict[str, bytes] = {}

    def read(self, lines: list[str]) -> Iterator[_EncodedLine]:
        """Each line's tokens; not encode_batch_fast, which leaves their spelling empty."""
        for encoding in self._tokenizer.encode_batch(lines, add_special_tokens=False):
            yield self._encoded_line(encoding)

    def token_bytes(self, number: int) -> bytes:
        """The bytes of a token."""
        return self._bytes_of(number, str(self._tokenizer.id_to_token(number)))

    def _encoded_line(self, encoding: Encoding) -> _EncodedLine:
        tokens = [self._bytes_of(*pair) for pair in zip(encoding.ids, encoding.tokens, strict=True)]
        ends: list[int] = []
        boundaries: set[int] = set()
        place, last = 0, object()
        for token, word in zip(tokens, encoding.word_ids, strict=True):
            if word != last:
                boundaries.add(place)
                last = word
            place += len(token)
            ends.append(place)
        boundaries.add(place)
        return _EncodedLine(tokens, ends, boundaries)

    def _bytes_of(self, number: int, token: str) -> bytes:
        if token not in self._bytes:
            self._bytes[token] = token.encode() if number in self._added else decode_token(token)
        return self._bytes[token]


def _differences(
    first: _EncodedLine, second: _EncodedLine
) -> Iterator[tuple[tuple[bytes, ...], tuple[bytes, ...]]]:
    """The tokens of both between common borders, where they differ; all of them if the texts do (because
    one tokenizer normalises what the other leaves)."""
    if b"".join(first.tokens) != b"".join(second.tokens):
        yield tuple(first.tokens), tuple(second.tokens)
        return
    common = first.boundaries & second.boundaries
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
