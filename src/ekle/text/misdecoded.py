"""Turkish that was decoded in a wrong way: ÅŸehir, ýþýk, Ã§ok, �ehir.

Two mistakes are common. UTF-8 was read as a code page of one byte a letter, so that each letter outside
ASCII became two or three (ş: ÅŸ), perhaps twice. Or the Turkish code page was read as that of another
language, so that ğ, ı, İ and ş became letters of Icelandic (ð, ý, Ý, þ), Romanian or Russian. Such text has
the frequencies of ordinary Turkish, so its words would become tokens.

The second kind is told by its words: all other letters of them are Turkish. A foreign name such as Nový can
be among them.
"""

import re
from dataclasses import dataclass
from itertools import product

_LETTERS = "çÇğĞıİöÖşŞüÜâÂîÎûÛ"
_MARKS = "’‘“”…–—°«»·éèêëáäñóôß"  # these are read in a wrong way in Turkish text, too
_READ_AS = ("cp1252", "cp1254", "latin-1", "cp1250", "cp1251", "cp437", "cp850", "cp857", "mac_roman")
"""Code pages that UTF-8 is read as; what one of them leaves undefined is taken as Latin-1 has it."""
_WESTERN = ("cp1252", "cp1254", "latin-1")  # those that it is read as twice

_TURKISH_BYTES = "ğĞıİşŞ"  # only these differ between the Turkish and the other Latin code pages
_LATIN = ("cp1252", "cp1250")
_CYRILLIC = "cp1251"
_LONG = 1000  # characters of a line that is left out whole; of a longer one, sentences are


@dataclass(frozen=True, slots=True)
class Misdecoded:
    """What `leave_out` found in a text."""

    characters: int
    """Of the lines and sentences that were left out."""
    word: str
    """The first word that was decoded in a wrong way."""
    meant: str
    """The same as it should read; empty where its letters are lost."""


def leave_out(text: str) -> tuple[str, Misdecoded | None]:
    """The text without the lines, of long lines the sentences, in which a word was decoded in a wrong way."""
    if text.isascii() or not _SIGN.search(text):
        return text, None
    kept: list[str] = []
    first, characters = "", 0
    for part in _parts(text):
        if word := misdecoded_word(part):
            first, characters = first or word, characters + len(part)
        else:
            kept.append(part)
    if not first:
        return text, None
    return "".join(kept), Misdecoded(characters, first, repaired(first))


def misdecoded_word(text: str) -> str:
    """The first word of `text` that was decoded in a wrong way; empty where there is none."""
    if text.isascii() or not _SIGN.search(text):
        return ""
    if found := _SEQUENCES.search(text) or _LOST.search(text):
        return _word_around(text, found.start(), found.end())
    for part in _WORD.finditer(text):
        word = part[0]
        if _MIXTURE.search(word) or (
            len(word) > 1 and _OTHER_LATIN.search(word) and not _FOREIGN.search(word)
        ):
            return word
    return ""


def repaired(word: str) -> str:
    """What a word that was decoded in a wrong way should read; empty where that cannot be told."""
    for _ in range(2):
        word = _SEQUENCES.sub(lambda found: _MEANT[found[0]], word)
    if _LOST.search(word):
        return ""
    if _MIXTURE.search(word):
        word = word.translate(_FROM_CYRILLIC)
    return re.sub(r"\bĞ", "İ", word.translate(_FROM_LATIN))  # no word begins with Ğ


def _word_around(text: str, start: int, end: int) -> str:
    """The word at a place, between spaces; no other white space, because a code page has some of it."""
    before = max(text.rfind(sign, 0, start) for sign in " \t\n") + 1
    after = min((place for sign in " \t\r\n" if (place := text.find(sign, end)) >= 0), default=len(text))
    return text[before:after]


def _parts(text: str) -> list[str]:
    """The lines of a text, and the sentences of long lines; together they are the text."""
    parts: list[str] = []
    for line in re.split(r"(?<=\n)", text):
        parts += re.split(r"(?<=[.!?…] )", line) if len(line) > _LONG else [line]
    return parts


def _as_read(raw: bytes, page: str) -> str:
    """Bytes read with a code page of one byte a letter."""
    letters = (bytes([byte]).decode(page, "ignore") or chr(byte) for byte in raw)
    return "".join(letters)


def _sequences() -> dict[str, str]:
    """What letters and marks become where UTF-8 is read as a code page, once or twice, and what was meant."""
    meant: dict[str, str] = {}
    for letter in _LETTERS + _MARKS:
        for page in _READ_AS:
            meant.setdefault(_as_read(letter.encode(), page), letter)
        for page, again in product(_WESTERN, repeat=2):
            meant.setdefault(_as_read(_as_read(letter.encode(), page).encode(), again), letter)
    # In real text a non-breaking space, or nothing that can be seen, may stand behind any letter.
    return {read: letter for read, letter in meant.items() if len(read) > 1 and "\xa0" not in read}


_MEANT = _sequences()
_SEQUENCES = re.compile(
    "|".join(
        # At the beginning of a word it may be a dash: ─Şu.
        (r"(?<=\w)" if read[0] == "─" and read[1] in _LETTERS else "") + re.escape(read)
        for read in sorted(_MEANT, key=len, reverse=True)
    )
)
_FROM_LATIN = {
    ord(read): letter
    for letter in _TURKISH_BYTES
    for read in (_as_read(letter.encode("cp1254"), page) for page in _LATIN)
}
_FROM_CYRILLIC = {ord(_as_read(letter.encode("cp1254"), _CYRILLIC)): letter for letter in "çÇğĞıİöÖşŞüÜ"}
# Controls where code pages have letters. Where they have quotes (Türkiye\x92nin), the words are right.
_CONTROLS = r"\x81\x87-\x90\x98\x9a-\x9f"
_LOST = re.compile(rf"\ufffd|(?<=\w)[{_CONTROLS}]|[{_CONTROLS}](?=\w)")
_WORD = re.compile(r"[^\W\d_]+")
_OTHER_LATIN = re.compile(f"[{''.join(map(chr, _FROM_LATIN))}]")
_FOREIGN = re.compile(f"[^a-pr-vyzA-PR-VYZ{_LETTERS}{''.join(map(chr, _FROM_LATIN))}]")
_RUSSIAN = "".join(map(chr, _FROM_CYRILLIC))
_MIXTURE = re.compile(f"[a-zA-Z][{_RUSSIAN}]|[{_RUSSIAN}][a-zA-Z]")
# One pass over a text that has nothing of this: the first signs of all sequences, and the letters. Of them
# only â is a letter of Turkish.
_FIRST = {read[0] for read in _MEANT} | set(map(chr, {**_FROM_LATIN, **_FROM_CYRILLIC}))
_SIGN = re.compile(rf"[{''.join(sorted(_FIRST - {'â'}))}\ufffd{_CONTROLS}]|â€")
