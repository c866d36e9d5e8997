"""The rule `similarity`: a new row is a weighted mean of the rows of morphologically similar tokens.

Tokens are similar if they have the same root or the same suffixes, or are the same suffix with other vowels
(a harmony variant, such as -ler and -lar). Base tokens are analysed by their text, new tokens by the
morphemes and labels in tokens.jsonl. A neighbour that is new has no row yet; its base tokens are taken
instead.
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
"""A neighbour: the id of a base token, or the ids of the base tokens of a new token."""


@dataclass(frozen=True)
class NeighbourGroups:
    """The neighbours of one token: base tokens first, then new tokens by frequency; a group may be empty."""

    root: list[BaseTokenIds] = field(default_factory=list)
    chain: list[BaseTokenIds] = field(default_factory=list)
    variants: list[BaseTokenIds] = field(default_factory=list)


class Neighbours:
    """An index of base tokens and new tokens by root and suffixes.

    Args:
        tokens: the new tokens; those without labels have no neighbours and are none.
        base: bytes of each base token, by id; without added tokens.
        members: largest number of members in a group.
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
        """The groups of a new token, without the token itself."""
        if not token.labels:
            return NeighbourGroups()
        labels = tuple(token.labels)
        if labels[0] != _ROOT:
            own = _letters(token.text)
            variants = [
                base_ids
                for text, found in self._suffixes[labels].items()
                if text != own
                for base_ids in found
            ]
            return NeighbourGroups(variants=self._first(variants))
        root = casing.lower(token.morphemes[0])
        tables = (self._words, self._bare) if token.text.startswith(" ") else (self._bare, self._words)
        same_word = next((table[root] for table in tables if root in table), [])
        same_root = self._first([*same_word, *self._others(self._roots[root], token)])
        if len(labels) == 1:
            return NeighbourGroups(root=same_root)
        suffixes = [base_ids for found in self._suffixes[labels[1:]].values() for base_ids in found]
        same_chain = suffixes or self._others(self._chains[labels[1:]], token)
        return NeighbourGroups(root=same_root, chain=self._first(same_chain))

    def _index_base(self, base: Mapping[int, bytes]) -> None:
        for number, raw in sorted(base.items()):
            if (text := token_text(raw)) is None:
                continue  # part of a character
            letters = _letters(text)
            if len(letters) < 2 or not is_turkish_word(letters):
                continue
            (self._words if text.startswith(" ") else self._bare)[letters].append((number,))
            if text == letters and (readings := chains(letters)):
                self._suffixes[readings[0].labels].setdefault(letters, []).append((number,))

    def _index_new(self, tokens: Sequence[NewToken]) -> None:
        for token in sorted(tokens, key=lambda token: (-token.count, token.id)):
            labels = tuple(token.labels)
            if not labels:
                continue
            if labels[0] != _ROOT:
                self._suffixes[labels].setdefault(_letters(token.text), []).append(token.base_tokens)
                continue
            self._roots[casing.lower(token.morphemes[0])].append(token)
            if labels[1:]:
                self._chains[labels[1:]].append(token)

    def _others(self, tokens: Sequence[NewToken], token: NewToken) -> list[BaseTokenIds]:
        """The base tokens of the first `members` of `tokens`, without `token`."""
        others = (other for other in tokens[: self._members + 1] if other.id != token.id)
        return [other.base_tokens for other in others]

    def _first(self, found: list[BaseTokenIds]) -> list[BaseTokenIds]:
        return found[: self._members]


def _letters(text: str) -> str:
    """The text of a token in lower case, without a space or an apostrophe before it."""
    return casing.lower(text.removeprefix(" ").removeprefix("'").removeprefix("’"))


def similarity_rows(
    rows: EmbeddingMatrix,
    tokens: Sequence[NewToken],
    neighbours: Neighbours,
    weights: SimilaritySettings,
    end: Literal["input", "output"],
) -> Tensor:
    """New rows (new tokens, width) in float32: the guide's `similarity_based`.

    Each token has up to four groups: its own base tokens, tokens with its root, tokens that are its chain of
    suffixes (or, if there are none, words that end in it), and for a suffix its harmony variants. A group
    gives the mean of its members, and `weights` weights the groups. For a member that is new, its base tokens
    are taken.

    Input and output embeddings differ. For input embeddings, a member is the mean of its base tokens. For
    output embeddings, it is its first base token, as in `first_piece`, and the chain of suffixes is left out:
    an output embedding has to fit hidden states in which a word is about to begin, and no suffix comes there.

    Reads up to `members` x base tokens rows per group; costs about four times as much as `subword`.
    """
    return mix(rows, mixture(_shares(token, neighbours, weights, end) for token in tokens))


def _shares(
    token: NewToken, neighbours: Neighbours, weights: SimilaritySettings, end: Literal["input", "output"]
) -> dict[int, float]:
    groups = neighbours.of(token)
    chain = groups.chain if end == "input" else []
    weighted_groups: list[tuple[float, Sequence[BaseTokenIds]]] = [
        (weights.base_tokens, [token.base_tokens]),
        (weights.root, groups.root),
        (weights.suffix_chain, chain),
        (weights.harmony_variants, groups.variants),
    ]
    shares: dict[int, float] = {}
    for weight, members in weighted_groups:
        for member in members if weight else ():
            for base_id, share in even_shares(member if end == "input" else member[:1]).items():
                shares[base_id] = shares.get(base_id, 0.0) + weight * share / len(members)
    return shares
