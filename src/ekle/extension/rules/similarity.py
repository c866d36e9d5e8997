"""The rule `similarity`: a new row is made of the rows of morphologically similar tokens.

Similar are tokens with the same root, the same suffixes, or the same suffix in other vowels. Base tokens are
read as they stand in the vocabulary, new ones by the morphemes and labels of tokens.jsonl. A new neighbour
has no row yet, so its base tokens stand for it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from ekle.artifacts import NewToken
from ekle.bpe.byte_alphabet import token_text
from ekle.extension.rules.averages import even_shares, mix, mixture
from ekle.model.checkpoint.weights import EmbeddingMatrix
from ekle.recipe.extension import SimilaritySettings
from ekle.turkish import casing
from ekle.turkish.alphabet import is_turkish_word
from ekle.turkish.suffixes import chains

_ROOT = "ROOT"

BaseTokenIds = Sequence[int]
"""A neighbour: the id of a base token, or the base pieces of a new one."""


@dataclass(frozen=True)
class NeighbourGroups:
    """The neighbours of one token, base tokens first, then the most frequent; empty where there are none."""

    root: list[BaseTokenIds] = field(default_factory=list)
    chain: list[BaseTokenIds] = field(default_factory=list)
    twins: list[BaseTokenIds] = field(default_factory=list)


class Neighbours:
    """An index over base and new tokens.

    Args:
        tokens: the new tokens; those without labels are nobody's neighbours.
        base: bytes of each base token, added tokens left out.
        members: most members of a group.
    """

    def __init__(self, tokens: Sequence[NewToken], base: Mapping[int, bytes], members: int) -> None:
        self._members = members
        self._words: dict[str, list[BaseTokenIds]] = defaultdict(list)  # with the space before them
        self._bare: dict[str, list[BaseTokenIds]] = defaultdict(list)
        self._suffixes: dict[tuple[str, ...], dict[str, list[BaseTokenIds]]] = defaultdict(dict)
        self._roots: dict[str, list[NewToken]] = defaultdict(list)
        self._chains: dict[tuple[str, ...], list[NewToken]] = defaultdict(list)
        self._index_base(base)
        self._index_new(tokens)

    def of(self, token: NewToken) -> NeighbourGroups:
        """The groups of one of the new tokens; it is in none of them itself."""
        if not token.labels:
            return NeighbourGroups()
        labels = tuple(token.labels)
        if labels[0] != _ROOT:
            own = _body(token.text)
            twins = [
                base_ids
                for text, found in self._suffixes[labels].items()
                if text != own
                for base_ids in found
            ]
            return NeighbourGroups(twins=self._first(twins))
        root = casing.lower(token.morphemes[0])
        tables = (self._words, self._bare) if token.text.startswith(" ") else (self._bare, self._words)
        written = next((table[root] for table in tables if root in table), [])
        same_root = self._first([*written, *self._others(self._roots[root], token)])
        if len(labels) == 1:
            return NeighbourGroups(root=same_root)
        suffixes = [base_ids for found in self._suffixes[labels[1:]].values() for base_ids in found]
        same_chain = suffixes or self._others(self._chains[labels[1:]], token)
        return NeighbourGroups(root=same_root, chain=self._first(same_chain))

    def _index_base(self, base: Mapping[int, bytes]) -> None:
        for number, raw in sorted(base.items()):
            if (text := token_text(raw)) is None:
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

    def _others(self, tokens: Sequence[NewToken], token: NewToken) -> list[BaseTokenIds]:
        """Enough of `tokens`, without `token`, by their pieces."""
        near = (other for other in tokens[: self._members + 1] if other.id != token.id)
        return [other.base_pieces for other in near]

    def _first(self, found: list[BaseTokenIds]) -> list[BaseTokenIds]:
        return found[: self._members]


def _body(text: str) -> str:
    """The letters of a token: without a space or an apostrophe before them, in lower case."""
    return casing.lower(text.removeprefix(" ").removeprefix("'").removeprefix("’"))


def similarity_rows(
    rows: EmbeddingMatrix,
    tokens: Sequence[NewToken],
    neighbours: Neighbours,
    weights: SimilaritySettings,
    end: Literal["input", "output"],
) -> Tensor:
    """New rows (new tokens, width) in float32: the guide's `similarity_based`.

    Each token has up to four groups: its own base pieces, tokens with its root, tokens that are its chain of
    suffixes (or, without such, words that end in it), and for a suffix its twins in other vowels. A group
    gives the mean over its members, and the groups are weighted by `weights`. A member that is new itself
    stands for its base pieces.

    The two ends differ. At the input a member is the mean of its pieces. At the output it is its first piece,
    as in `first_piece`, and the group of the chain is left out: the row answers to states in which a word is
    about to begin, and suffixes never come there.

    Reads up to `members` base rows, times their pieces, a group; about four times the cost of `subword`.
    """
    return mix(rows, mixture(_shares(token, neighbours, weights, end) for token in tokens))


def _shares(
    token: NewToken, neighbours: Neighbours, weights: SimilaritySettings, end: Literal["input", "output"]
) -> dict[int, float]:
    groups = neighbours.of(token)
    chain = groups.chain if end == "input" else []
    parts: list[tuple[float, Sequence[BaseTokenIds]]] = [
        (weights.pieces, [token.base_pieces]),
        (weights.root, groups.root),
        (weights.chain, chain),
        (weights.twins, groups.twins),
    ]
    shares: dict[int, float] = {}
    for weight, members in parts:
        for member in members if weight else ():
            for base_id, share in even_shares(member if end == "input" else member[:1]).items():
                shares[base_id] = shares.get(base_id, 0.0) + weight * share / len(members)
    return shares
