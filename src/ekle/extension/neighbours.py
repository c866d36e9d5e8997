"""Which tokens are morphologically close to a new one: the same root, the same suffixes, harmony twins.

Base tokens are read as they stand in the vocabulary, new ones by the morphemes and labels of tokens.jsonl.
A new neighbour has no row yet, so it is known by the base pieces that it replaces.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ekle.artifacts import NewToken
from ekle.bpe.byte_alphabet import text_of
from ekle.turkish import casing
from ekle.turkish.alphabet import is_turkish_word
from ekle.turkish.suffixes import chains

_ROOT = "ROOT"

Pieces = Sequence[int]
"""A neighbour: the id of a base token, or the base pieces of a new one."""


@dataclass(frozen=True)
class Groups:
    """The neighbours of one token, base tokens first, then the most frequent; empty where there are none."""

    root: list[Pieces] = field(default_factory=list)
    chain: list[Pieces] = field(default_factory=list)
    twins: list[Pieces] = field(default_factory=list)


class Neighbours:
    """An index over base and new tokens.

    Args:
        tokens: the new tokens; those without labels are nobody's neighbours.
        base: bytes of each base token, added tokens left out.
        members: most members of a group.
    """

    def __init__(self, tokens: Sequence[NewToken], base: Mapping[int, bytes], members: int) -> None:
        self._members = members
        self._words: dict[str, list[Pieces]] = defaultdict(list)  # with the space before them
        self._bare: dict[str, list[Pieces]] = defaultdict(list)
        self._suffixes: dict[tuple[str, ...], dict[str, list[Pieces]]] = defaultdict(dict)
        self._roots: dict[str, list[NewToken]] = defaultdict(list)
        self._chains: dict[tuple[str, ...], list[NewToken]] = defaultdict(list)
        self._index_base(base)
        self._index_new(tokens)

    def of(self, token: NewToken) -> Groups:
        """The groups of one of the new tokens; it is in none of them itself."""
        if not token.labels:
            return Groups()
        labels = tuple(token.labels)
        if labels[0] != _ROOT:
            own = _body(token.text)
            twins = [
                pieces for text, found in self._suffixes[labels].items() if text != own for pieces in found
            ]
            return Groups(twins=self._first(twins))
        root = casing.lower(token.morphemes[0])
        tables = (self._words, self._bare) if token.text.startswith(" ") else (self._bare, self._words)
        written = next((table[root] for table in tables if root in table), [])
        same_root = self._first([*written, *self._others(self._roots[root], token)])
        if len(labels) == 1:
            return Groups(root=same_root)
        suffixes = [pieces for found in self._suffixes[labels[1:]].values() for pieces in found]
        same_chain = suffixes or self._others(self._chains[labels[1:]], token)
        return Groups(root=same_root, chain=self._first(same_chain))

    def _index_base(self, base: Mapping[int, bytes]) -> None:
        for number, raw in sorted(base.items()):
            if (text := text_of(raw)) is None:
                continue  # a part of a character
            body = _body(text)
            if len(body) < 2 or not is_turkish_word(body):
                continue
            (self._words if text.startswith(" ") else self._bare)[body].append((number,))
            if text == body and (readings := chains(body)):
                self._suffixes[readings[0].labels].setdefault(body, []).append((number,))

    def _index_new(self, tokens: Sequence[NewToken]) -> None:
        for token in sorted(tokens, key=lambda token: (-token.count, token.id)):
            labels = tuple(token.labels)
            if not labels:
                continue
            if labels[0] != _ROOT:
                self._suffixes[labels].setdefault(_body(token.text), []).append(token.base_pieces)
                continue
            self._roots[casing.lower(token.morphemes[0])].append(token)
            if labels[1:]:
                self._chains[labels[1:]].append(token)

    def _others(self, tokens: Sequence[NewToken], token: NewToken) -> list[Pieces]:
        """Enough of `tokens`, without `token`, by their pieces."""
        near = (other for other in tokens[: self._members + 1] if other.id != token.id)
        return [other.base_pieces for other in near]

    def _first(self, found: list[Pieces]) -> list[Pieces]:
        return found[: self._members]


def _body(text: str) -> str:
    """The letters of a token: without a space or an apostrophe before them, in lower case."""
    return casing.lower(text.removeprefix(" ").removeprefix("'").removeprefix("’"))
