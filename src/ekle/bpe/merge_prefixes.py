"""What smaller vocabularies would do, computed from what the whole one does.

Merges apply in their order, and a merge only makes pairs that later merges join. So a text after the first n
merges is exactly the text after all merges with the later ones undone; no smaller tokenizer has to be built.
`tests/bpe/test_merge_prefixes.py` builds them and compares.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ekle.bpe.learn import LearnedMerge

Ints = npt.NDArray[np.int64]
_NO_ID = 1 << 62  # above every id


class MergePrefixes:
    """The first n merges, for any n, of a list in which each merge makes a token of its own.

    Args:
        merges: in order, with ids that run on from those of the base.
    """

    def __init__(self, merges: Sequence[LearnedMerge]) -> None:
        self.first = merges[0].id if merges else _NO_ID
        self.size = len(merges)
        self._parts = [(merge.left, merge.right) for merge in merges]
        self._oldest = self._find_oldest()

    def lengths(self, size: int) -> Ints:
        """Into how many tokens each new token falls with only the first `size` merges; shape (merges,)."""
        counts = np.ones(self.size, dtype=np.int64)
        for number in range(size, self.size):
            left, right = self._parts[number]
            counts[number] = sum(
                int(counts[part - self.first]) if part >= self.first else 1 for part in (left, right)
            )
        return counts

    def tokens(self, id_counts: Ints, size: int) -> int:
        """Tokens of a text with the first `size` merges.

        Args:
            id_counts: how often each id occurs in the text with all merges, shape (ids,).
            size: number of merges that are kept.
        """
        new = id_counts[self.first :]
        return int(id_counts[: self.first].sum() + (new * self.lengths(size)[: len(new)]).sum())

    def undo(self, ids: Iterable[int], size: int) -> list[int]:
        """The ids of a text with the first `size` merges, from its ids with all of them."""
        found: list[int] = []
        for number in ids:
            pending = [number]
            while pending:
                token = pending.pop()
                if token >= self.first + size:
                    left, right = self._parts[token - self.first]
                    pending += (right, left)
                else:
                    found.append(token)
        return found

    def first_change(self, before: Sequence[int], after: Sequence[int]) -> int | None:
        """The least number of merges that changes a text; 0 if the pre-tokenizer alone does, None for never.

        Args:
            before: ids of the text with the base tokenizer.
            after: ids with all merges.
        """
        if self.undo(after, 0) != list(before):
            return 0
        return min(
            (self._oldest[number - self.first] + 1 for number in after if number >= self.first), default=None
        )

    def _find_oldest(self) -> list[int]:
        """For each new token, the first of all merges that make it."""
        oldest: list[int] = []
        for number, parts in enumerate(self._parts):
            oldest.append(min([number, *(oldest[part - self.first] for part in parts if part >= self.first)]))
        return oldest
