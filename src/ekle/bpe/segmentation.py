"""How tokenizers segment a text: the tokens as text, and what two tokenizers segment differently."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from tokenizers import Encoding, Tokenizer, decoders

from ekle.bpe.byte_alphabet import decode_token, in_byte_alphabet
from ekle.bpe.encode import batches
from ekle.bpe.measure import new_token_ids

Order = Literal["common", "gained", "expensive"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True)
class TokenSpan:
    """One token of a text and what it shows."""

    id: int
    text: str
    """The characters of the token; bytes of a character that is split are written `\\xc4`."""


def is_byte_level(tokenizer: Tokenizer) -> bool:
    """Whether the token strings spell raw bytes, one character per byte."""
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
    """A word that two tokenizers segment differently, with a space before it as in running text."""

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
    """Words that the two tokenizers segment differently, at most `limit` of them.

    `common` starts with the most frequent words, `gained` with those that save most tokens, `expensive`
    with those that still take most tokens, changed or not, and more than one. The last two leave out words
    that occur once, because the longest of those are typing errors.
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
        case "expensive":
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
    """A part of a text that two tokenizers segment differently."""

    text: str
    count: int
    """Times it occurs in the text, segmented so."""
    before: list[str]
    """The text of its tokens; bytes of a character that is split are written `\\xc4`."""
    after: list[str]
    new: list[str]
    """Those of `after` that only the second tokenizer has; none where its pre-tokenizer alone did it."""


def list_changes(
    before: Tokenizer, after: Tokenizer, lines: Sequence[str], added: Collection[bytes] | None = None
) -> list[SegmentationChange]:
    """Everything in `lines` that the two byte-level tokenizers segment differently, most frequent first.

    Args:
        before, after: the tokenizers.
        lines: lines that both segment alike may be left out; `measure.measure_drift` names the others.
        added: tokens that only the second has, as `added_tokens` gives them; found if not given.
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
            _text_of(b"".join(first)),
            count,
            [_text_of(token) for token in first],
            [_text_of(token) for token in second],
            [_text_of(token) for token in dict.fromkeys(second) if token in added],
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
    """The tokens of a line, and the positions (in bytes) where pre-tokens begin and the last one ends."""

    tokens: list[bytes]
    ends: list[int]
    boundaries: set[int]


class _ByteEncoder:
    """Encodes lines to the bytes of tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._added = tokenizer.get_added_tokens_decoder()
        self._bytes: dict[str, bytes] = {}

    def read(self, lines: list[str]) -> Iterator[_EncodedLine]:
        """Each line's tokens. encode_batch_fast would leave their text empty."""
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
            spelled = number not in self._added and in_byte_alphabet(token)
            self._bytes[token] = decode_token(token) if spelled else token.encode()
        return self._bytes[token]


def _differences(
    first: _EncodedLine, second: _EncodedLine
) -> Iterator[tuple[tuple[bytes, ...], tuple[bytes, ...]]]:
    """The tokens of both between common boundaries, where they differ; all tokens if the texts differ
    (because one tokenizer normalises what the other leaves)."""
    if b"".join(first.tokens) != b"".join(second.tokens):
        yield tuple(first.tokens), tuple(second.tokens)
        return
    common = first.boundaries & second.boundaries
    at = to = 0
    while at < len(first.tokens):
        start, other_start = at, to
        while first.ends[at] not in common:
            at += 1
        end = first.ends[at]
        at += 1
        while second.ends[to] < end:
            to += 1
        to += 1
        old, new = first.tokens[start:at], second.tokens[other_start:to]
        if old != new:
            yield tuple(old), tuple(new)


def _text_of(token: bytes) -> str:
    return token.decode(errors="backslashreplace")
