"""Continued BPE: learning merges on top of the base's own pieces.

Ordinary BPE (Sennrich et al. 2016, section 3.2) starts from characters; here it starts from the cut
that the base tokenizer makes, so every base merge keeps its rank and the new ones come after. Since no
base merge can apply to a new token, encoding with the grafted list is exactly "base cut, then the new
merges in order", and what is counted here is what the tokenizer will do.

A pair is counted once, when its younger piece appears; later merges only take occurrences away, so a
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


def pair_of(key: int) -> tuple[int, int]:
    """The ids of the pair that `key` stands for."""
    return key >> _SHIFT, key & _MASK


class LinkedTokens:
    """All texts as one doubly linked list of pieces, changed in place."""

    def __init__(self, encoded: EncodedTexts, weights: Ints, cost: npt.NDArray[np.float64] | None) -> None:
        # A text of one piece has no pair.
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
        """What the texts of `before`, from which this line was made, consist of now."""
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
        """Key and place of each pair of neighbours."""
        places = np.flatnonzero(self.next >= 0).astype(np.int32)
        return _keys(self.ids[places], self.ids[self.next[places]]), places

    def group(
        self, keys: Ints, places: npt.NDArray[np.int32], min_count: int
    ) -> list[tuple[int, int, npt.NDArray[np.int32]]]:
        """(key, count, places) of each different key that occurs at least `min_count` times."""
        if len(keys) > _MANY:
            # Most different pairs are rare, so sums over hashes spare them the sorting.
            cells = (keys.astype(np.uint64) * _GOLDEN) >> np.uint64(64 - _CELL_BITS)
            sums = np.bincount(cells.astype(np.int64), self.weights[places], 1 << _CELL_BITS)
            hopeful = sums[cells] >= min_count
            keys, places = keys[hopeful], places[hopeful]
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
        """Those of `places` where the pair stands now."""
        following = self.next[places]
        stands: npt.NDArray[np.bool_] = (
            (self.ids[places] == left) & (following >= 0) & (self.ids[following] == right)
        )
        return places[stands]

    def non_overlapping(self, places: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """`places` of a pair of equal pieces without overlaps: in "aaa" only the first "aa" can merge."""
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
        """A pre-token that is changed once costs nothing more."""
        self.cost[self.text[places]] = 0.0

    def merge(self, places: npt.NDArray[np.int32], new: int) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Put `new` at `places`, drop what follows each; keys and places of the pairs that arise."""
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
        other = right != new  # new beside new is found from its right side already
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
    """A part of the learning: which tokens may be learned in it, and up to how many in all."""

    accept: Callable[[bytes], bool] = lambda token: True
    """Asked once, when a token would be learned next."""
    until: int | None = None
    """Ends with so many merges learned, phases before it included; None: when nothing is left to take."""
    least_use: int = 0
    """A merge that would leave a piece learned before it with fewer occurrences is not taken, so that no
    place goes to a mere step on the way to a longer piece."""
    step_gain: int | None = None
    """A merge that saves so many tokens is taken all the same; None: none is."""


@dataclass(frozen=True)
class LearnedMerge:
    """A merge of the pieces with ids `left` and `right` into the new piece `id`."""

    left: int
    right: int
    id: int
    token: bytes
    count: int
    """Occurrences in the text at the moment of learning; that many tokens are saved."""
    price: float
    """Cost of the protected pre-tokens that it was the first to change, in tokens."""


@dataclass(frozen=True)
class LearningResult:
    """The merges in order, and every text as they leave it: what the tokenizer with them will do."""

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
    learned: Callable[[int], None] = lambda count: None,
) -> LearningResult:
    """Learn up to `size` merges, the most frequent pair first, ties by ids.

    Args:
        encoded: base tokens of all different pre-tokens, protected ones included.
        weights: how often each occurs in the text to learn; 0 for those only protected text has.
        tokens: raw bytes of each base id; None for ids that cannot stand in the text.
        size: number of merges wanted.
        min_count: pairs rarer than this are left alone, so fewer merges may come back.
        cost: what changing each pre-token costs, in tokens; a pair is refused when its count is below the
            cost of the pre-tokens that it would be the first to change. None protects nothing.
        phases: what is taken when; none takes everything at once. A pair that one phase leaves is offered
            to the next.
        learned: called with 1 for each merge, for a progress bar.

    Returns:
        The merges in order and all pre-tokens in the pieces that these leave; new ids run on from
        `len(tokens)`. A merge never makes half a UTF-8 character.
    """
    linked = LinkedTokens(encoded, weights, cost)
    known: list[bytes | None] = list(tokens)
    taken = {token for token in known if token is not None}
    heap: list[tuple[int, int]] = []
    where: dict[int, npt.NDArray[np.int32]] = {}

    def offer(keys: Ints, places: npt.NDArray[np.int32]) -> None:
        for key, total, at in linked.group(keys, places, min_count):
            where[key] = at
            heapq.heappush(heap, (-total, key))

    offer(*linked.all_pairs())
    merges: list[LearnedMerge] = []
    use: dict[int, int] = {}
    postponed: list[tuple[int, int]] = []
    coming = list(phases or (Phase(),))
    phase = coming.pop(0)
    while len(merges) < size:
        if not heap or (phase.until is not None and len(merges) >= phase.until):
            if not coming:
                break
            phase = coming.pop(0)
            heap, postponed = heap + postponed, []
            heapq.heapify(heap)
            continue
        _, key = heapq.heappop(heap)
        left, right = pair_of(key)
        standing = linked.still_present(where.pop(key), left, right)
        at = linked.non_overlapping(standing) if left == right else standing
        count = int(linked.weights[at].sum())
        if count < min_count:
            continue
        if heap and (-count, key) > heap[0]:
            where[key] = standing
            heapq.heappush(heap, (-count, key))
            continue
        token = merged_token(known[left], known[right])
        if token is None or token in taken:
            continue
        price = linked.price(at)
        if count < price:
            continue
        rest = {part: use[part] - count * (1 + (left == right)) for part in (left, right) if part in use}
        starves = min(rest.values(), default=count) < phase.least_use
        starves = starves and (phase.step_gain is None or count < phase.step_gain)
        if starves or not phase.accept(token):
            where[key] = standing
            postponed.append((-count, key))
            continue
        use.update(rest)
        use[len(known)] = count
        linked.clear_cost(at)
        merges.append(LearnedMerge(left, right, len(known), token, count, price))
        taken.add(token)
        known.append(token)
        offer(*linked.merge(at, merges[-1].id))
        learned(1)
    return LearningResult(merges, linked.encoded(encoded))


def learn_plainly(
    token_ids: Sequence[Sequence[int]], weights: Sequence[int], tokens: Sequence[bytes | None], *, size: int
) -> list[tuple[int, int]]:
    """The slow, clear twin of `learn_merges`: recount every pair before every merge."""
    texts = [list(text) for text in token_ids]
    known: list[bytes | None] = list(tokens)
    merges: list[tuple[int, int]] = []
    while len(merges) < size:
        fit: dict[tuple[int, int], int] = {}
        for pair in {pair for text in texts for pair in itertools.pairwise(text)}:
            token = merged_token(known[pair[0]], known[pair[1]])
            if token is not None and token not in known:
                fit[pair] = sum(
                    weight * (len(text) - len(replace_pair(text, pair, -1)))
                    for text, weight in zip(texts, weights, strict=True)
                )
        if not fit:
            break
        best = min(fit, key=lambda pair: (-fit[pair], pair))
        texts = [replace_pair(text, best, len(known)) for text in texts]
        known.append(merged_token(known[best[0]], known[best[1]]))
        merges.append(best)
    return merges


def replace_pair(text: Sequence[int], pair: tuple[int, int], new: int) -> list[int]:
    """`text` with each occurrence of `pair`, from the left, become `new`."""
    out: list[int] = []
    for token in text:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out
