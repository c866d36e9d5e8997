"""Choosing merges from a pool: all in order (`free`), or by quotas a category (`guide`)."""

from collections.abc import Mapping, Sequence

from ekle.bpe.continued import LearnedMerge
from ekle.recipe.vocabulary import Quotas
from ekle.vocabulary.categories import Category, Description


def fill_quotas(
    pool: Sequence[LearnedMerge], described: Mapping[int, Description], quotas: Quotas, size: int
) -> tuple[list[LearnedMerge], dict[str, int]]:
    """Take merges in order until each category is full; what a quota cannot fill goes by value.

    A token needs the tokens it is merged from. Those are taken with it, on their own category's account.

    Args:
        pool: learned merges in order, more than `size`.
        described: description of each merge by its id.
        quotas: tokens wanted of each category.
        size: tokens wanted in all.

    Returns:
        The chosen merges in their order, and how many places each category left to the others.
    """
    room: dict[Category, int] = {
        "word": quotas.words,
        "suffix": quotas.suffixes,
        "root": quotas.roots,
        "complex": quotas.complex,
        "pattern": quotas.patterns,
    }
    by_id = {merge.id: merge for merge in pool}
    chosen: set[int] = set()

    def needed(merge: LearnedMerge) -> list[LearnedMerge]:
        """`merge` and the pool merges it is made from that are not chosen yet."""
        missing: dict[int, LearnedMerge] = {}
        stack = [merge]
        while stack:
            one = stack.pop()
            if one.id not in chosen and one.id not in missing:
                missing[one.id] = one
                stack += [by_id[part] for part in (one.left, one.right) if part in by_id]
        return list(missing.values())

    for keep_quotas in (True, False):
        for merge in pool:
            if len(chosen) >= size:
                break
            group = needed(merge)
            wanted = [described[one.id].category for one in group]
            fits = all(room[category] >= wanted.count(category) for category in set(wanted))
            if len(chosen) + len(group) <= size and (fits or not keep_quotas):
                for one in group:
                    chosen.add(one.id)
                    room[described[one.id].category] -= 1
        if keep_quotas:
            left = {category: places for category, places in room.items() if places}
    return [merge for merge in pool if merge.id in chosen], {
        str(name): places for name, places in left.items()
    }
