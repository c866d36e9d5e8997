"""What a vocabulary saves and changes, as it is and with fewer tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ekle.bpe.measure import count_ids, count_tokens, measure_drift, split_lines
from ekle.bpe.merge_prefixes import Ints, MergePrefixes
from ekle.bpe.segmentation import SegmentationChange, list_changes
from ekle.turkish.gold import RootedWord
from ekle.vocabulary.constraints.protect import ProtectedText, protected_lines
from ekle.vocabulary.selection import LearnedVocabulary


def held_out_savings(
    learned: LearnedVocabulary, held_out: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Any], Ints]:
    """Tokens of each genre before and after, and how often each id occurs in all with the learned merges."""
    rows = learned.base.rows + len(learned.new)
    figures: dict[str, Any] = {}
    id_counts = np.zeros(rows, dtype=np.int64)
    for genre, texts in held_out.items():
        first, second = (
            count_tokens(learned.base.tokenizer(), texts),
            count_ids(learned.tokenizer, texts, rows),
        )
        before, after, size = int(first.tokens.sum()), int(second.sum()), int(first.bytes.sum())
        figures[genre] = {
            "tokens_base": before,
            "tokens": after,
            "saved": 1 - after / before,
            "bytes_per_token_base": size / before,
            "bytes_per_token": size / after,
        }
        id_counts += (
            second if not learned.kept.forced else count_ids(learned.tokenizer_without_terms, texts, rows)
        )
    return figures, id_counts


@dataclass(frozen=True)
class TextDrift:
    """What changes in one text."""

    figures: dict[str, Any]
    """`lines`, `lines_changed` (their share) and `changes`: see `listed`."""
    sizes: list[int]
    """Of each changed line, the least number of learned merges that changes it."""


def text_drift(learned: LearnedVocabulary, documents: Sequence[str]) -> TextDrift | None:
    """What the tokenizer cuts differently in the lines of `documents`; None where there is no line."""
    lines = split_lines(documents)
    if not lines:
        return None
    base = learned.base.tokenizer()
    drift = measure_drift(base, learned.tokenizer, lines)
    changed = [lines[place] for place in drift.changed]
    figures = {
        "lines": drift.lines,
        "lines_changed": drift.share,
        "changes": change_figures(list_changes(base, learned.tokenizer, changed, learned.added)),
    }
    prefixes = MergePrefixes(learned.kept.learned)
    first, second = (
        tokenizer.encode_batch_fast(changed, add_special_tokens=False)
        for tokenizer in (base, learned.tokenizer_without_terms)
    )
    sizes = [prefixes.first_change(old.ids, new.ids) for old, new in zip(first, second, strict=True)]
    return TextDrift(figures, [size for size in sizes if size is not None])


def change_figures(changes: Sequence[SegmentationChange]) -> dict[str, Any]:
    """Changes for report.json: how many `different` ones, their `occurrences`, and `listed`, each
    of them (`text`, `count`, tokens `before` and `after`, `new` among these)."""
    return {
        "different": len(changes),
        "occurrences": sum(change.count for change in changes),
        "listed": [asdict(change) for change in changes],
    }


def changed_forms(learned: LearnedVocabulary, forms: pl.DataFrame, *, in_pre_tokens: bool) -> dict[str, Any]:
    """Which words of a list are cut differently, in the forms in which they stand in text.

    Args:
        made: the vocabulary.
        forms: columns `text` and `share` (occurrences a word of running text), as `protected.word_forms`
            gives them; a text may stand twice.
        in_pre_tokens: whether all forms are pre-tokens of the material, so that those it left alone need no
            second look. A profile that cuts words before merges has pieces of them there instead.

    Returns:
        `forms`: how many there are; `different`: those that change; `share`: what these are of running text,
        as the list has it; `listed`: each of them, the most frequent first, with `per_million` words of text.
    """
    likely = forms
    if in_pre_tokens:
        touched = learned.after.lengths != learned.pre_tokens.encoded.lengths  # merges leave fewer pieces
        likely = forms.join(learned.pre_tokens.table.select("text").filter(touched), on="text", how="semi")
    likely = likely.group_by("text").agg(pl.col("share").sum())
    words = likely["text"].sort().to_list()
    base = learned.base.tokenizer()
    moved = [words[place] for place in measure_drift(base, learned.tokenizer, words).changed] if words else []
    shares = dict(likely.select("text", "share").iter_rows())
    changes = list_changes(base, learned.tokenizer, moved, learned.added)
    changes.sort(key=lambda change: (-shares.get(change.text, 0.0), change.text))
    return {
        "forms": forms["text"].n_unique(),
        "different": len(changes),
        "share": sum(shares[word] for word in moved) / max(float(forms["share"].sum()), 1e-9),
        "listed": [
            {
                "text": change.text,
                "per_million": float(f"{shares.get(change.text, 0.0) * 1e6:.3g}"),
                "before": change.before,
                "after": change.after,
                "new": change.new,
            }
            for change in changes
        ],
    }


_POINTS = 8  # sizes above 0 at which trade-offs are measured


def measure_effects(
    learned: LearnedVocabulary,
    held_out: Mapping[str, Sequence[str]],
    other: Mapping[str, Sequence[str]],
    protected: ProtectedText,
    rooted: Sequence[RootedWord],
    *,
    words_in_pre_tokens: bool,
) -> dict[str, Any]:
    """What the vocabulary does, for report.json: `held_out`, `other`, `protected` (`texts` and `lists`) and
    `size_trade_offs`."""
    saved, id_counts = held_out_savings(learned, held_out)
    others = {name: text_drift(learned, texts) for name, texts in other.items()}
    files = {file: text_drift(learned, protected_lines(file)) for file in protected.files}
    drifts = {**others, **{Path(file).name: drift for file, drift in files.items()}}
    return {
        "held_out": saved,
        "other": {name: drift.figures for name, drift in others.items() if drift},
        "protected": {
            "texts": {file: drift.figures for file, drift in files.items() if drift},
            "lists": {
                name: changed_forms(learned, forms, in_pre_tokens=words_in_pre_tokens)
                for name, forms in protected.lists.items()
            },
        },
        "size_trade_offs": size_trade_offs(
            learned, saved, id_counts, {name: drift for name, drift in drifts.items() if drift}, rooted
        ),
    }


def size_trade_offs(
    learned: LearnedVocabulary,
    held_out: Mapping[str, Any],
    id_counts: Ints,
    drifts: Mapping[str, TextDrift],
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
        to measure on, `held_out` (the same), `lines_changed` (shares by name) and `root_intact`.
    """
    merges = learned.kept.learned
    every = learned.choice.learned.merges  # more than `merges` where terms are kept
    text = learned.choice.learned.encoded.id_counts(
        learned.pre_tokens.weights, learned.base.rows + len(every)
    )
    prefixes, whole = MergePrefixes(merges), MergePrefixes(every)
    before = sum(genre["tokens_base"] for genre in held_out.values())
    roots = _Roots(learned, prefixes, rooted)
    points: list[dict[str, Any]] = []
    for size in sorted({round(len(merges) * point / _POINTS) for point in range(_POINTS + 1)}):
        point: dict[str, Any] = {
            "size": size,
            "learning_text": 1 - whole.tokens(text, size) / learned.tokens_before,
        }
        if before:
            point["held_out"] = 1 - prefixes.tokens(id_counts, size) / before
        if drifts:
            point["lines_changed"] = {
                name: sum(at <= size for at in drift.sizes) / drift.figures["lines"]
                for name, drift in drifts.items()
            }
        if rooted:
            point["root_intact"] = roots.intact(size)
        points.append(point)
    return points


class _Roots:
    """Words with known roots as the learned merges cut them, behind a space as in running text."""

    def __init__(
        self, learned: LearnedVocabulary, prefixes: MergePrefixes, rooted: Sequence[RootedWord]
    ) -> None:
        self._prefixes = prefixes
        token_bytes = [*learned.base.token_bytes, *(merge.token for merge in learned.kept.learned)]
        self._lengths = [len(token or b"") for token in token_bytes]
        texts = [f" {word.text}" for word in rooted]
        encodings = learned.tokenizer_without_terms.encode_batch_fast(texts, add_special_tokens=False)
        self._ids = [encoding.ids for encoding in encodings]
        self._ends = [1 + len(word.text[: word.root].encode()) for word in rooted]

    def intact(self, size: int) -> float:
        """Share of the words in whose root no token ends; one that ends behind the space cuts nothing."""
        whole = sum(self._is_whole(ids, end, size) for ids, end in zip(self._ids, self._ends, strict=True))
        return whole / len(self._ids)

    def _is_whole(self, ids: Sequence[int], end: int, size: int) -> bool:
        place = 0
        for token in self._prefixes.undo(ids, size):
            place += self._lengths[token]
            if place >= end:
                return True
            if place > 1:
                return False
        return True
