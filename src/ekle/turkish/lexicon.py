"""Every reading of a word that the lexicon and its grammar allow, in the labels of `data/suffixes.tsv`."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from ekle.turkish.lexicon_graph import Ending, Stem, endings, graph
from ekle.turkish.tables import rows

_NAMES = frozenset({"Prop", "Abbrv"})
_COPULAR = {"PAST": "COP.PAST", "EVID": "COP.EVID"}
_TENSES = frozenset({"PAST", "EVID", "PROG", "PROG.FORMAL", "FUT", "AOR", "NECESS", "COND", "OPT", "IMPOSS"})


class Reading(NamedTuple):
    """One reading: the root as it stands in the text, its dictionary form, and its suffixes with letters."""

    root: str
    lemma: str
    pos: str
    is_name: bool
    morphemes: tuple[str, ...]
    labels: tuple[str, ...]


def readings(word: str) -> list[Reading]:
    """All readings of a lower-case word without apostrophe; circumflexes are tried with and without.

    The order is fixed: by length of root, then by the dictionary.
    """
    found = list(dict.fromkeys(_read(word)))
    return found or list(dict.fromkeys(_read_plain(word)))


def _read(word: str) -> Iterator[Reading]:
    stems = graph().stems
    for length in range(1, len(word) + 1):
        root = word[:length]
        for stem in stems.get(root, ()):
            for ending in endings(stem.kind, word[length:]):
                yield _reading(root, stem, ending)


def _read_plain(word: str) -> Iterator[Reading]:
    """The readings of `word` without its circumflexes, cut from the letters of `word` itself."""
    plain = word.translate(_PLAIN)
    if plain == word:
        return
    for reading in _read(plain):
        place = len(reading.root)
        morphemes = []
        for morpheme in reading.morphemes:
            morphemes.append(word[place : place + len(morpheme)])
            place += len(morpheme)
        yield reading._replace(root=word[: len(reading.root)], morphemes=tuple(morphemes))


def _reading(root: str, stem: Stem, ending: Ending) -> Reading:
    morphemes, labels = [], []
    for label, letters in _labelled(ending, stem.pos == "Verb"):
        morphemes.append(letters)
        labels.append(label)
    return Reading(root, stem.lemma, stem.pos, stem.secondary in _NAMES, tuple(morphemes), tuple(labels))


def _labelled(ending: Ending, verbal: bool) -> Iterator[tuple[str, str]]:
    """The suffixes with letters; what a label means depends on the part of speech built so far."""
    finite = False  # whether a tense, or a noun used as a predicate, stands before
    previous = ""
    for id_, letters in ending:
        if id_ in {"Noun", "Adj", "Adv", "Verb"}:
            verbal = id_ == "Verb"
            finite = verbal and previous == "Zero"
        elif letters:
            label = _label(id_, letters, verbal, finite)
            yield label, letters
            finite = finite or label in _TENSES
        elif id_ == "Imp":
            finite = False
        previous = id_


def _label(id_: str, letters: str, verbal: bool, finite: bool) -> str:
    label = _labels()[id_]
    match id_:
        case "A3pl" if verbal:
            return "IMP.3PL" if letters[0] == "s" else "3PL"
        case "A2sg" | "A2pl" if verbal and not finite:
            return label.replace("2", "IMP.2")
        case "Past" | "Narr" if finite:
            return _COPULAR[label]
        case "Agt" if verbal:
            return "DOER"
        case _:
            return label


@cache
def _labels() -> dict[str, str]:
    return {row["zeyrek"]: row["label"] for row in rows("lexicon_labels")}


_PLAIN = str.maketrans("âîû", "aiu")
