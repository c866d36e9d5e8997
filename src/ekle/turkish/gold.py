"""Gold data: words whose morphemes people have marked, in the formats of such lists.

There are two kinds. A *segmentation* gives all morpheme boundaries of a word, perhaps in several readings. A
treebank, or text tagged by hand, gives the lemma only, so it shows where the root ends and nothing more.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ekle.errors import TextError
from ekle.text.formats import has_ending
from ekle.text.lines import file_lines
from ekle.turkish import casing
from ekle.turkish.alphabet import SOFTENED, VOWELS, is_turkish_word

_FORMS = (
    "a line holds a word, a tab and its morphemes; treebanks end in .conllu, text tagged as TrMor in .gold"
)

_RANGE = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")  # the parts of a word that a treebank splits
_NARROWED = frozenset("ıiuü")  # başla + -Iyor = başlıyor


@dataclass(frozen=True, slots=True)
class SegmentedWord:
    """A word and the positions of its morpheme boundaries (in letters), one set per reading."""

    text: str
    readings: tuple[frozenset[int], ...]

    @property
    def allowed(self) -> frozenset[int]:
        """Positions where some reading has a boundary."""
        return frozenset().union(*self.readings)


@dataclass(frozen=True, slots=True)
class RootedWord:
    """An inflected word and how many of its letters are the root."""

    text: str
    root: int


def read_gold(path: Path) -> Sequence[SegmentedWord] | Sequence[RootedWord]:
    """The words of `path`: a treebank (.conllu), hand-tagged text (.gold), or else segmented words.

    Raises:
        TextError: there is no such file, its lines have another form, or it holds no word.
    """
    found: Sequence[SegmentedWord] | Sequence[RootedWord]
    if has_ending(path, "conllu"):
        found = read_treebank(path)
    elif has_ending(path, "gold"):
        found = read_hand_tagged(path)
    else:
        found = read_segmentations(path)
    if not found:
        raise TextError(f"{path} holds no word whose morphemes are marked; see docs/report.md for the forms")
    return found


def read_segmentations(path: Path) -> list[SegmentedWord]:
    """Words with their morphemes: a word, a tab, morphemes separated by spaces, readings by `|`.

    Further columns are ignored. Morpho Challenge's own form is read too: readings are fields separated by
    `||`, each followed by its labels. Lines that start with # and a line "word<tab>..." at the top are
    skipped.

    Raises:
        TextError: there is no such file, or morphemes do not give the word when they are joined.
    """
    words: list[SegmentedWord] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line or line.startswith(("#", "word\t")):
            continue
        word, *fields = line.split("\t")
        if not fields:
            raise TextError(f"{path}:{number}: there is no tab between a word and its morphemes; {_FORMS}")
        readings = _fields_of_readings(fields)
        for morphemes in readings:
            if "".join(morphemes) != word:
                raise TextError(f"{path}:{number}: {' '.join(morphemes)!r} does not spell {word!r}; {_FORMS}")
        words.append(SegmentedWord(word, tuple(dict.fromkeys(_places(one) for one in readings))))
    return words


def _fields_of_readings(fields: list[str]) -> list[list[str]]:
    if "||" not in fields:
        return [reading.split() for reading in fields[0].split("|")]
    starts = [0, *(place + 1 for place, field in enumerate(fields) if field == "||")]
    return [fields[start].split() for start in starts]


def _places(morphemes: list[str]) -> frozenset[int]:
    at, places = 0, []
    for morpheme in morphemes[:-1]:
        at += len(morpheme)
        places.append(at)
    return frozenset(places)


def read_treebank(path: Path) -> list[RootedWord]:
    """The inflected words of a CoNLL-U file, in their order, each as often as it occurs.

    A word counts when all its letters are Turkish and its lemma, with the changes of Turkish roots (see
    `root_length`), is a proper beginning of it. A word that the treebank splits (yoktu: yok + tu) has the
    lemma of its first part.

    Raises:
        TextError: there is no such file, it is not UTF-8, or a word's number is none.
    """
    return list(_treebank(path))


def _treebank(path: Path) -> Iterator[RootedWord]:
    whole, left = "", 0  # a word that the treebank splits, and the number of parts still to come
    for place, line in enumerate(_lines(path), start=1):
        columns = line.split("\t")
        if len(columns) < 10:
            continue
        number, form, lemma = columns[:3]
        if "-" in number:
            if (parts := _RANGE.fullmatch(number)) is None:
                raise TextError(f"{path}:{place}: {number!r:.40} is no range of words, such as 3-4; {_FORMS}")
            whole, left = form, int(parts[2]) - int(parts[1]) + 1
            continue
        if left:
            left -= 1
            if not whole:
                continue
            form, whole = whole, ""
        text = casing.lower(form)
        if is_turkish_word(text):
            root = root_length(text, casing.lower(lemma))
            if root and root < len(text):
                yield RootedWord(form, root)


def read_hand_tagged(path: Path) -> list[RootedWord]:
    """The inflected words of text tagged in the form of TrMor, in their order, each as often as it occurs.

    A line is a word, a tab, and its analysis lemma+Tag+Tag; further columns are other possible analyses.
    Lines that start with < mark sentences.

    Raises:
        TextError: there is no such file.
    """
    found: list[RootedWord] = []
    for line in _lines(path):
        form, _, analyses = line.partition("\t")
        lemma, sign, _ = analyses.partition("+")
        text = casing.lower(form)
        if sign and not line.startswith("<") and is_turkish_word(text):
            root = root_length(text, casing.lower(lemma))
            if root and root < len(text):
                found.append(RootedWord(form, root))
    return found


def root_length(word: str, lemma: str) -> int | None:
    """The number of letters of lower-case `word` that are the root with the dictionary form `lemma`.

    These forms are known: the lemma itself; a softened last consonant (kitab-ı, kitap); a dropped vowel
    (burn-u, burun); a vowel that -Iyor replaces (başl-ıyor, başla). None where the word begins otherwise.
    """
    if word.startswith(lemma):
        return len(lemma)
    if len(lemma) < 2:
        return None
    end = len(lemma) - 1
    softened = word[end : end + 1]
    if word.startswith(lemma[:-1]) and SOFTENED.get(softened) == lemma[-1]:
        return len(lemma)
    if (
        lemma[-1] in "ae"
        and word.startswith(lemma[:-1])
        and softened in _NARROWED
        and word[end + 1 :].startswith("yor")
    ):
        return end
    if lemma[-2] in VOWELS and word.startswith(lemma[:-2]):
        last = word[end - 1 : end]
        if last == lemma[-1] or SOFTENED.get(last) == lemma[-1]:
            return end
    return None


def _lines(path: Path) -> Iterator[str]:
    for line in file_lines(path):
        yield line.rstrip("\r\n")
