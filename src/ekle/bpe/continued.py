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

from ekle.bpe.byte_alphabet import whole_token
from ekle.bpe.line import Ints, Line, pair_of
from ekle.bpe.pieces import Pieces


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
class Learned:
    """The merges in order, and every text as they leave it: what the tokenizer with them will do."""

    merges: list[LearnedMerge]
    pieces: Pieces


def learn_merges(
    pieces: Pieces,
    weights: Ints,
    tokens: Sequence[bytes | None],
    *,
    size: int,
    min_count: int = 1,
    cost: npt.NDArray[np.float64] | None = None,
    phases: Sequence[Phase] = (),
    learned: Callable[[int], None] = lambda count: None,
) -> Learned:
    """Learn up to `size` merges, the most frequent pair first, ties by ids.

    Args:
        pieces: the base cut of all different pre-tokens, protected ones included.
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
    line = Line(pieces, weights, cost)
    known: list[bytes | None] = list(tokens)
    taken = {token for token in known if token is not None}
    heap: list[tuple[int, int]] = []
    where: dict[int, npt.NDArray[np.int32]] = {}

    def offer(keys: Ints, places: npt.NDArray[np.int32]) -> None:
        for key, total, at in line.group(keys, places, min_count):
            where[key] = at
            heapq.heappush(heap, (-total, key))

    offer(*line.all_pairs())
    merges: list[LearnedMerge] = []
    use: dict[int, int] = {}
    waiting: list[tuple[int, int]] = []
    coming = list(phases or (Phase(),))
    phase = coming.pop(0)
    while len(merges) < size:
        if not heap or (phase.until is not None and len(merges) >= phase.until):
            if not coming:
                break
            phase = coming.pop(0)
            heap, waiting = heap + waiting, []
            heapq.heapify(heap)
            continue
        _, key = heapq.heappop(heap)
        left, right = pair_of(key)
        standing = line.still_there(where.pop(key), left, right)
        at = line.apart(standing) if left == right else standing
        count = int(line.weights[at].sum())
        if count < min_count:
            continue
        if heap and (-count, key) > heap[0]:
            where[key] = standing
            heapq.heappush(heap, (-count, key))
            continue
        token = whole_token(known[left], known[right])
        if token is None or token in taken:
            continue
        price = line.price(at)
        if count < price:
            continue
        rest = {part: use[part] - count * (1 + (left == right)) for part in (left, right) if part in use}
        starves = min(rest.values(), default=count) < phase.least_use
        starves = starves and (phase.step_gain is None or count < phase.step_gain)
        if starves or not phase.accept(token):
            where[key] = standing
            waiting.append((-count, key))
            continue
        use.update(rest)
        use[len(known)] = count
        line.give_up(at)
        merges.append(LearnedMerge(left, right, len(known), token, count, price))
        taken.add(token)
        known.append(token)
        offer(*line.merge(at, merges[-1].id))
        learned(1)
    return Learned(merges, line.pieces(pieces))


def learn_plainly(
    cuts: Sequence[Sequence[int]], weights: Sequence[int], tokens: Sequence[bytes | None], *, size: int
) -> list[tuple[int, int]]:
    """The slow, clear twin of `learn_merges`: recount every pair before every merge."""
    texts = [list(text) for text in cuts]
    known: list[bytes | None] = list(tokens)
    merges: list[tuple[int, int]] = []
    while len(merges) < size:
        fit: dict[tuple[int, int], int] = {}
        for pair in {pair for text in texts for pair in itertools.pairwise(text)}:
            token = whole_token(known[pair[0]], known[pair[1]])
            if token is not None and token not in known:
                fit[pair] = sum(
                    weight * (len(text) - len(replace_pair(text, pair, -1)))
                    for text, weight in zip(texts, weights, strict=True)
                )
        if not fit:
            break
        best = min(fit, key=lambda pair: (-fit[pair], pair))
        texts = [replace_pair(text, best, len(known)) for text in texts]
        known.append(whole_token(known[best[0]], known[best[1]]))
        merges.append(best)
    return merges


def replace_pair(text: Sequence[int], pair: tuple[int, int], new: int) -> list[int]:
    """`text` with each occurrence of `pair`, from the left, become `new`."""
    out: list[int] = []
    for piece in text:
        if out and (out[-1], piece) == pair:
            out[-1] = new
        else:
            out.append(piece)
    return out
