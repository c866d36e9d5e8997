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
    """Figures of each genre, before and after, and how often each id occurs in all genres with the learned
    merges alone."""
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
    """`lines`, `lines_changed` (their share) and `changes`, as `change_figures` gives them."""
    sizes: list[int]
    """For each changed line, the least number of learned merges that changes it."""


def text_drift(learned: LearnedVocabulary, documents: Sequence[str]) -> TextDrift | None:
    """What the tokenizer segments differently in the lines of `documents`; None where there is no line."""
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
    """Changes for report.json: the number of `different` ones, their `occurrences`, and `listed`, one entry
    per change (`text`, `count`, tokens `before` and `after`, and the `new` ones of these)."""
    return {
        "different": len(changes),
        "occurrences": sum(change.count for change in changes),
        "listed": [asdict(change) for change in changes],
    }


def changed_forms(learned: LearnedVocabulary, forms: pl.DataFrame, *, in_pre_tokens: bool) -> dict[str, Any]:
    """Which words of a list are segmented differently, in the forms that they have in text.

    Args:
        learned: the vocabulary.
        forms: columns `text` and `share` (occurrences per word of running text), as `protect.word_forms`
            gives them; a text may occur twice.
        in_pre_tokens: whether all forms are among the learned pre-tokens, so that those without a merge can
            be skipped. A profile that splits words has parts of them there instead.

    Returns:
        `forms`: how many there are; `different`: how many change; `share`: the share of these in running
            text,
        by the list; `listed`: each of them, the most frequent first, with occurrences `per_million` words.
    """
    candidates = forms
    if in_pre_tokens:
        changed = learned.after.lengths != learned.pre_tokens.encoded.lengths  # merges leave fewer tokens
        candidates = forms.join(
            learned.pre_tokens.table.select("text").filter(changed), on="text", how="semi"
        )
    candidates = candidates.group_by("text").agg(pl.col("share").sum())
    words = candidates["text"].sort().to_list()
    base = learned.base.tokenizer()
    moved = [words[place] for place in measure_drift(base, learned.tokenizer, words).changed] if words else []
    shares = dict(candidates.select("text", "share").iter_rows())
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
    """The effects of the vocabulary, for report.json: `held_out`, `other`, `protected` (`texts` and `lists`)
    and `size_trade_offs`."""
    saved, id_counts = held_out_savings(learned, held_out)
    others = {name: text_drift(learned, texts) for name, texts in other.items()}
    files = {file: text_drift(learned, protected_lines(file, protected.reader)) for file in protected.files}
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
        learned: the vocabulary.
        held_out: figures of `held_out_savings`; may be empty.
        id_counts: how often each id occurs in that text with the learned merges.
        drifts: by name, what changes in text of other languages.
        rooted: inflected words whose root is known.

    Returns:
        One point per size: `size`, `learning_text` (share of its tokens saved), and where there is text or
            words
        to measure on, `held_out` (the same), `lines_changed` (shares by name) and `root_intact`.
    """
    merges = learned.kept.learned
    all_merges = learned.selection.learned.merges  # more than `merges` where terms are kept
    text = learned.selection.learned.encoded.id_counts(
        learned.pre_tokens.weights, learned.base.rows + len(all_merges)
    )
    prefixes, whole = MergePrefixes(merges), MergePrefixes(all_merges)
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
    """Words with known roots as the learned merges tokenize them, after a space as in running text."""

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
        """Share of the words with no token boundary inside the root; one right after the space does not
        count."""
        intact = sum(self._is_intact(ids, end, size) for ids, end in zip(self._ids, self._ends, strict=True))
        return intact / len(self._ids)

    def _is_intact(self, ids: Sequence[int], end: int, size: int) -> bool:
        place = 0
        for token in self._prefixes.undo(ids, size):
            place += self._lengths[token]
            if place >= end:
                return True
            if place > 1:
                return False
        return True
