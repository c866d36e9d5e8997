"""Showing a cut: the visible pieces of a text, and the words whose cut changed."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, assert_never

from tokenizers import Tokenizer, decoders

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
        ChangedWord(*ranked[place], _pieces(before, spelled[place]), _pieces(after, spelled[place]))
        for place in chosen[:limit]
    ]


def _pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [span.text for span in token_spans(tokenizer, text)]
