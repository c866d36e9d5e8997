"""All texts as one doubly linked list of pieces over arrays, which merges change in place."""

import numpy as np
import numpy.typing as npt

from ekle.bpe.pieces import Pieces

_SHIFT = 24
_MASK = (1 << _SHIFT) - 1
_MANY = 100_000
_CELL_BITS = 22
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, vol. 3, section 6.4)

Ints = npt.NDArray[np.int64]


def pair_of(key: int) -> tuple[int, int]:
    """The ids of the pair that `key` stands for."""
    return key >> _SHIFT, key & _MASK


class Line:
    """All texts as one doubly linked list of pieces, changed in place."""

    def __init__(self, pieces: Pieces, weights: Ints, cost: npt.NDArray[np.float64] | None) -> None:
        # A text of one piece has no pair.
        several = pieces.lengths > 1
        self.ids = pieces.ids[np.repeat(several, pieces.lengths)].copy()
        lengths = pieces.lengths[several]
        self.weights: Ints = np.repeat(weights[several], lengths)
        self.text = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        self.cost = np.zeros(len(lengths)) if cost is None else cost[several].copy()
        size = len(self.ids)
        self.next = np.arange(1, size + 1, dtype=np.int32)
        self.previous = np.arange(-1, size - 1, dtype=np.int32)
        ends = np.cumsum(lengths)
        self.next[ends - 1] = -1
        self.previous[ends - lengths] = -1

    def pieces(self, before: Pieces) -> Pieces:
        """What the texts of `before`, from which this line was made, consist of now."""
        lengths = before.lengths.copy()
        several = lengths > 1
        standing = self.ids >= 0
        lengths[several] = np.bincount(self.text[standing], minlength=int(several.sum()))
        ids = np.empty(int(lengths.sum()), dtype=np.int32)
        merged = np.repeat(several, lengths)
        ids[merged] = self.ids[standing]
        ids[~merged] = before.ids[~np.repeat(several, before.lengths)]
        return Pieces(ids, lengths)

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

    def still_there(self, places: npt.NDArray[np.int32], left: int, right: int) -> npt.NDArray[np.int32]:
        """Those of `places` where the pair stands now."""
        following = self.next[places]
        stands: npt.NDArray[np.bool_] = (
            (self.ids[places] == left) & (following >= 0) & (self.ids[following] == right)
        )
        return places[stands]

    def apart(self, places: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
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

    def give_up(self, places: npt.NDArray[np.int32]) -> None:
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
