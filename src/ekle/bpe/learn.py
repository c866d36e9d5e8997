"""Continued BPE: learning merges on top of the base's tokens.

Ordinary BPE (Sennrich et al. 2016, section 3.2) starts from characters; here it starts from the base
tokenizer's tokens, so every base merge keeps its rank and the new ones come after. Since no base merge can
apply to a new token, encoding with the grafted list is exactly "encode with the base, then apply the new
merges in order", and what is counted here is what the tokenizer will do.

A pair is counted once, when the younger of its tokens appears; later merges only take occurrences away, so a
stale count is an upper bound, and the heap re-counts a pair only when it comes to the top.
"""

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ekle.bpe.byte_alphabet import merged_token
from ekle.bpe.encode import EncodedTexts

_SHIFT = 24
_MASK = (1 << _SHIFT) - 1
_MANY = 100_000
_CELL_BITS = 22
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, vol. 3, section 6.4)

Ints = npt.NDArray[np.int64]


def _pair_of(key: int) -> tuple[int, int]:
    """The ids of the pair that `key` stands for."""
    return key >> _SHIFT, key & _MASK


class LinkedTokens:
    """All texts as one doubly linked list of tokens, changed in place."""

    def __init__(self, encoded: EncodedTexts, weights: Ints, cost: npt.NDArray[np.float64] | None) -> None:
        # A text of one token has no pair.
        several = encoded.lengths > 1
        self.ids = encoded.ids[np.repeat(several, encoded.lengths)].copy()
        lengths = encoded.lengths[several]
        self.weights: Ints = np.repeat(weights[several], lengths)
        self.text = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        self.cost = np.zeros(len(lengths)) if cost is None else cost[several].copy()
        size = len(self.ids)
        self.next = np.arange(1, size + 1, dtype=np.int32)
        self.previous = np.arange(-1, size - 1, dtype=np.int32)
        ends = np.cumsum(lengths)
        self.next[ends - 1] = -1
        self.previous[ends - lengths] = -1

    def encoded(self, before: EncodedTexts) -> EncodedTexts:
        """The tokens of the texts of `before`, from which this list was made, as they are now."""
        lengths = before.lengths.copy()
        several = lengths > 1
        standing = self.ids >= 0
        lengths[several] = np.bincount(self.text[standing], minlength=int(several.sum()))
        ids = np.empty(int(lengths.sum()), dtype=np.int32)
        merged = np.repeat(several, lengths)
        ids[merged] = self.ids[standing]
        ids[~merged] = before.ids[~np.repeat(several, before.lengths)]
        return EncodedTexts(ids, lengths)

    def all_pairs(self) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Key and position of each pair of neighbours."""
        places = np.flatnonzero(self.next >= 0).astype(np.int32)
        return _keys(self.ids[places], self.ids[self.next[places]]), places

    def group(
        self, keys: Ints, places: npt.NDArray[np.int32], min_count: int
    ) -> list[tuple[int, int, npt.NDArray[np.int32]]]:
        """(key, count, places) of each different key that occurs at least `min_count` times."""
        if len(keys) > _MANY:
            # Most different pairs are rare; sums over hashes drop them before the sort.
            cells = (keys.astype(np.uint64) * _GOLDEN) >> np.uint64(64 - _CELL_BITS)
            sums = np.bincount(cells.astype(np.int64), self.weights[places], 1 << _CELL_BITS)
            frequent = sums[cells] >= min_count
            keys, places = keys[frequent], places[frequent]
        if not len(keys):
            return []
        order = np.argsort(keys, kind="stable")
        keys, places = keys[order], places[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        ends = np.append(starts[1:], len(keys))
        totals = np.add.reduceat(self.weights[places], starts)
        return [
            (int(keys[starts[i]]), int(totals[i]), places[starts[i] : ends[i]])
            for i in np.flatnonzero(totals >= max(min_count, 1)).tolist()
        ]

    def still_present(self, places: npt.NDArray[np.int32], left: int, right: int) -> npt.NDArray[np.int32]:
        """Those of `places` where the pair still is."""
        following = self.next[places]
        present: npt.NDArray[np.bool_] = (
            (self.ids[places] == left) & (following >= 0) & (self.ids[following] == right)
        )
        return places[present]

    def non_overlapping(self, places: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """`places` of a pair of equal tokens without overlaps: in "aaa" only the first "aa" can merge."""
        kept: list[int] = []
        used = -1
        for place in np.sort(places).tolist():
            if place != used:
                kept.append(place)
                used = int(self.next[place])
        return np.array(kept, dtype=np.int32)

    def price(self, places: npt.NDArray[np.int32]) -> float:
        """The cost of the pre-tokens that a merge at `places` would be the first to change."""
        texts = self.text[places]
        return float(self.cost[np.unique(texts[self.cost[texts] > 0])].sum())

    def clear_cost(self, places: npt.NDArray[np.int32]) -> None:
        """Set the cost of the pre-tokens at `places` to 0: each is paid for once."""
        self.cost[self.text[places]] = 0.0

    def merge(self, places: npt.NDArray[np.int32], new: int) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Put `new` at `places`, drop what follows each; returns keys and places of the pairs that arise."""
        dropped = self.next[places]
        after = self.next[dropped]
        self.ids[places] = new
        self.ids[dropped] = -1
        self.next[places] = after
        inner = after >= 0
        self.previous[after[inner]] = places[inner]
        before = self.previous[places]
        before = before[before >= 0]
        right = self.ids[after[inner]]
        other = right != new  # a pair of two new tokens is found from its right side already
        keys = np.concatenate(
            [
                _keys(self.ids[before], np.full(len(before), new)),
                _keys(np.full(int(other.sum()), new), right[other]),
            ]
        )
        return keys, np.concatenate([before, places[inner][other]])


def _keys(left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Ints:
    return (left.astype(np.int64) << _SHIFT) | right.astype(np.int64)


@dataclass(frozen=True)
class Phase:
    """A part of the learning: which tokens may be learned in it, and up to how many."""

    accept: Callable[[bytes], bool] = lambda token: True
    """Called when a token would be learned next."""
    until: int | None = None
    """Ends with this many merges, those of earlier phases included; None: when no merge is left to take."""
    least_use: int = 0
    """A merge that would leave an earlier new token with fewer occurrences is not taken, so that no
    place goes to a mere step on the way to a longer token."""
    step_gain: int | None = None
    """A merge that saves this many tokens is taken all the same; None: none is."""


@dataclass(frozen=True)
class LearnedMerge:
    """A merge of the tokens with ids `left` and `right` into the token `id`."""

    left: int
    right: int
    id: int
    token: bytes
    count: int
    """Occurrences in the text when it is learned; that many tokens are saved."""
    price: float
    """Cost, in tokens, of the protected pre-tokens that it is the first to change."""


@dataclass(frozen=True)
class LearningResult:
    """The merges in order, and every text as the tokenizer with these merges encodes it."""

    merges: list[LearnedMerge]
    encoded: EncodedTexts


def learn_merges(
    encoded: EncodedTexts,
    weights: Ints,
    tokens: Sequence[bytes | None],
    *,
    size: int,
    min_count: int = 1,
    cost: npt.NDArray[np.float64] | None = None,
    phases: Sequence[Phase] = (),
    advance: Callable[[int], object] = lambda count: None,
) -> LearningResult:
    """Learn up to `size` merges, the most frequent pair first, ties by ids.

    Args:
        encoded: base tokens of all different pre-tokens, protected ones included.
        weights: how often each occurs in the text to learn; 0 for those only protected text has.
        tokens: raw bytes of each base id; None for ids that cannot occur in the text.
        size: number of merges wanted.
        min_count: rarer pairs are not merged, so fewer merges may be learned.
        cost: what changing each pre-token costs, in tokens; a pair is refused when its count is below the
            cost of the pre-tokens that it would be the first to change. None protects nothing.
        phases: which merges are taken when; without phases every merge is. A pair that one phase leaves is
            offered to the next.
        advance: called with 1 for each merge, for a progress bar.

    Returns:
        The merges in order, and all pre-tokens in the tokens that they leave; new ids follow
        `len(tokens) - 1`. A merge never makes half a UTF-8 character.
    """
    linked = LinkedTokens(encoded, weights, cost)
    known: list[bytes | None] = list(tokens)
    taken = {token for token in known if token is not None}
    heap: list[tuple[int, int]] = []
    places_of: dict[int, npt.NDArray[np.int32]] = {}

    def offer(keys: Ints, places: npt.NDArray[np.int32]) -> None:
        for key, total, found in linked.group(keys, places, min_count):
            places_of[key] = found
            heapq.heappush(heap, (-total, key))

    offer(*linked.all_pairs())
    merges: list[LearnedMerge] = []
    use: dict[int, int] = {}
    postponed: list[tuple[int, int]] = []
    phases_left = list(phases or (Phase(),))
    phase = phases_left.pop(0)
    while len(merges) < size:
        if not heap or (phase.until is not None and len(merges) >= phase.until):
            if not phases_left:
                break
            phase = phases_left.pop(0)
            heap, postponed = heap + postponed, []
            heapq.heapify(heap)
            continue
        _, key = heapq.heappop(heap)
        left, right = _pair_of(key)
        present = linked.still_present(places_of.pop(key), left, right)
        places = linked.non_overlapping(present) if left == right else present
        count = int(linked.weights[places].sum())
        if count < min_count:
            continue
        if heap and (-count, key) > heap[0]:
            places_of[key] = present
            heapq.heappush(heap, (-count, key))
            continue
        token = merged_token(known[left], known[right])
        if token is None or token in taken:
            continue
        price = linked.price(places)
        if count < price:
            continue
        rest = {part: use[part] - count * (1 + (left == right)) for part in (left, right) if part in use}
        starves = min(rest.values(), default=count) < phase.least_use
        starves = starves and (phase.step_gain is None or count < phase.step_gain)
        if starves or not phase.accept(token):
            places_of[key] = present
            postponed.append((-count, key))
            continue
        use.update(rest)
        use[len(known)] = count
        linked.clear_cost(places)
        merges.append(LearnedMerge(left, right, len(known), token, count, price))
        taken.add(token)
        known.append(token)
        offer(*linked.merge(places, merges[-1].id))
        advance(1)
    return LearningResult(merges, linked.encoded(encoded))


def learn_merges_reference(
    token_ids: Sequence[Sequence[int]], weights: Sequence[int], tokens: Sequence[bytes | None], *, size: int
) -> list[tuple[int, int]]:
    """The slow, clear reference implementation of `learn_merges`: recounts every pair before every merge."""
    texts = [list(text) for text in token_ids]
    known: list[bytes | None] = list(tokens)
    merges: list[tuple[int, int]] = []
    while len(merges) < size:
        fitting: dict[tuple[int, int], int] = {}
        for pair in {pair for text in texts for pair in itertools.pairwise(text)}:
            token = merged_token(known[pair[0]], known[pair[1]])
            if token is not None and token not in known:
                fitting[pair] = sum(
                    weight * (len(text) - len(replace_pair(text, pair, -1)))
                    for text, weight in zip(texts, weights, strict=True)
                )
        if not fitting:
            break
        best = min(fitting, key=lambda pair: (-fitting[pair], pair))
        texts = [replace_pair(text, best, len(known)) for text in texts]
        known.append(merged_token(known[best[0]], known[best[1]]))
        merges.append(best)
    return merges


def replace_pair(text: Sequence[int], pair: tuple[int, int], new: int) -> list[int]:
    """`text` with `new` for each occurrence of `pair`, from the left."""
    out: list[int] = []
    for token in text:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out
