"""The trades: what fewer tokens would save and change, and how often they would leave roots whole."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ekle.bpe.prefixes import Ints, Prefixes
from ekle.turkish.gold import RootedWord
from ekle.vocabulary.attempt import Attempt
from ekle.vocabulary.effects import Drift, changed_forms, drift_of, held_out_savings
from ekle.vocabulary.protected import Protected, lines_of

_POINTS = 8  # sizes at which the trades are measured, besides none


def effects(
    made: Attempt,
    held_out: Mapping[str, Sequence[str]],
    other: Mapping[str, Sequence[str]],
    protected: Protected,
    rooted: Sequence[RootedWord],
    *,
    words_in_material: bool,
) -> dict[str, Any]:
    """What the vocabulary does, for report.json: `held_out`, `other`, `protected` (`texts` and `lists`) and
    `trades`."""
    saved, use = held_out_savings(made, held_out)
    others = {name: drift_of(made, texts) for name, texts in other.items()}
    files = {file: drift_of(made, lines_of(file)) for file in protected.files}
    drifts = {**others, **{Path(file).name: drift for file, drift in files.items()}}
    return {
        "held_out": saved,
        "other": {name: drift.figures for name, drift in others.items() if drift},
        "protected": {
            "texts": {file: drift.figures for file, drift in files.items() if drift},
            "lists": {
                name: changed_forms(made, forms, in_material=words_in_material)
                for name, forms in protected.lists.items()
            },
        },
        "trades": trades(made, saved, use, {name: drift for name, drift in drifts.items() if drift}, rooted),
    }


def trades(
    made: Attempt,
    held_out: Mapping[str, Any],
    use: Ints,
    drifts: Mapping[str, Drift],
    rooted: Sequence[RootedWord] = (),
) -> list[dict[str, Any]]:
    """What fewer tokens would save and change: the first merges are a smaller vocabulary of their own.

    Args:
        made: the vocabulary.
        held_out: figures of `held_out_savings`; may be empty.
        use: how often each id occurs in that text with the learned merges.
        drifts: by name, what changes in text of other languages.
        rooted: inflected words whose root is known.

    Returns:
        A point a size: `size`, `learning_text` (share of its tokens saved), and where there is text or words
        to measure on, `held_out` (the same), `lines_changed` (shares by name) and `root_uncut`.
    """
    merges = made.kept.learned
    every = made.choice.learned.merges  # more than `merges` where terms are kept
    text = made.choice.learned.pieces.use(made.material.weights, made.base.rows + len(every))
    prefixes, whole = Prefixes(merges), Prefixes(every)
    before = sum(genre["tokens_base"] for genre in held_out.values())
    roots = _Roots(made, prefixes, rooted)
    points: list[dict[str, Any]] = []
    for size in sorted({round(len(merges) * point / _POINTS) for point in range(_POINTS + 1)}):
        point: dict[str, Any] = {
            "size": size,
            "learning_text": 1 - whole.tokens(text, size) / made.tokens_before,
        }
        if before:
            point["held_out"] = 1 - prefixes.tokens(use, size) / before
        if drifts:
            point["lines_changed"] = {
                name: sum(at <= size for at in drift.sizes) / drift.figures["lines"]
                for name, drift in drifts.items()
            }
        if rooted:
            point["root_uncut"] = roots.uncut(size)
        points.append(point)
    return points


class _Roots:
    """Words with known roots as the learned merges cut them, behind a space as in running text."""

    def __init__(self, made: Attempt, prefixes: Prefixes, rooted: Sequence[RootedWord]) -> None:
        self._prefixes = prefixes
        spelled = [*made.base.spelled, *(merge.token for merge in made.kept.learned)]
        self._lengths = [len(token or b"") for token in spelled]
        texts = [f" {word.text}" for word in rooted]
        encodings = made.learned_alone.encode_batch_fast(texts, add_special_tokens=False)
        self._ids = [encoding.ids for encoding in encodings]
        self._ends = [1 + len(word.text[: word.root].encode()) for word in rooted]

    def uncut(self, size: int) -> float:
        """Share of the words in whose root no token ends; one that ends behind the space cuts nothing."""
        whole = sum(self._is_whole(ids, end, size) for ids, end in zip(self._ids, self._ends, strict=True))
        return whole / len(self._ids)

    def _is_whole(self, ids: Sequence[int], end: int, size: int) -> bool:
        place = 0
        for piece in self._prefixes.undo(ids, size):
            place += self._lengths[piece]
            if place >= end:
                return True
            if place > 1:
                return False
        return True
