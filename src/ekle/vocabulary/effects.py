"""What a vocabulary saves and what it changes, in text and in the words of other languages."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from ekle.bpe.changes import Change, list_changes
from ekle.bpe.measure import count_ids, count_tokens, measure_drift, split_lines
from ekle.bpe.prefixes import Ints, Prefixes
from ekle.vocabulary.attempt import Attempt


def held_out_savings(made: Attempt, held_out: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], Ints]:
    """Tokens of each genre before and after, and how often each id occurs in all with the learned merges."""
    rows = made.base.rows + len(made.new)
    figures: dict[str, Any] = {}
    use = np.zeros(rows, dtype=np.int64)
    for genre, texts in held_out.items():
        first, second = count_tokens(made.base.tokenizer(), texts), count_ids(made.tokenizer, texts, rows)
        before, after, size = int(first.tokens.sum()), int(second.sum()), int(first.bytes.sum())
        figures[genre] = {
            "tokens_base": before,
            "tokens": after,
            "saved": 1 - after / before,
            "bytes_per_token_base": size / before,
            "bytes_per_token": size / after,
        }
        use += second if not made.kept.forced else count_ids(made.learned_alone, texts, rows)
    return figures, use


@dataclass(frozen=True)
class Drift:
    """What changes in one text."""

    figures: dict[str, Any]
    """`lines`, `lines_changed` (their share) and `changes`: see `listed`."""
    sizes: list[int]
    """Of each changed line, the least number of learned merges that changes it."""


def drift_of(made: Attempt, documents: Sequence[str]) -> Drift | None:
    """What the tokenizer cuts differently in the lines of `documents`; None where there is no line."""
    lines = split_lines(documents)
    if not lines:
        return None
    base = made.base.tokenizer()
    drift = measure_drift(base, made.tokenizer, lines)
    changed = [lines[place] for place in drift.changed]
    figures = {
        "lines": drift.lines,
        "lines_changed": drift.share,
        "changes": listed(list_changes(base, made.tokenizer, changed, made.added)),
    }
    prefixes = Prefixes(made.kept.learned)
    first, second = (
        tokenizer.encode_batch_fast(changed, add_special_tokens=False)
        for tokenizer in (base, made.learned_alone)
    )
    sizes = [prefixes.changed_at(old.ids, new.ids) for old, new in zip(first, second, strict=True)]
    return Drift(figures, [size for size in sizes if size is not None])


def listed(changes: Sequence[Change]) -> dict[str, Any]:
    """Changes for report.json: how many `different` ones, their `occurrences`, and `listed`, each
    of them (`text`, `count`, tokens `before` and `after`, `new` among these)."""
    return {
        "different": len(changes),
        "occurrences": sum(change.count for change in changes),
        "listed": [asdict(change) for change in changes],
    }


def changed_forms(made: Attempt, forms: pl.DataFrame, *, in_material: bool) -> dict[str, Any]:
    """Which words of a list are cut differently, in the forms in which they stand in text.

    Args:
        made: the vocabulary.
        forms: columns `text` and `share` (occurrences a word of running text), as `protected.word_forms`
            gives them; a text may stand twice.
        in_material: whether all forms are pre-tokens of the material, so that those it left alone need no
            second look. A profile that cuts words before merges has pieces of them there instead.

    Returns:
        `forms`: how many there are; `different`: those that change; `share`: what these are of running text,
        as the list has it; `listed`: each of them, the most frequent first, with `per_million` words of text.
    """
    likely = forms
    if in_material:
        touched = made.after.lengths != made.material.pieces.lengths  # merges leave fewer pieces
        likely = forms.join(made.material.table.select("text").filter(touched), on="text", how="semi")
    likely = likely.group_by("text").agg(pl.col("share").sum())
    words = likely["text"].sort().to_list()
    base = made.base.tokenizer()
    moved = [words[place] for place in measure_drift(base, made.tokenizer, words).changed] if words else []
    shares = dict(likely.select("text", "share").iter_rows())
    changes = list_changes(base, made.tokenizer, moved, made.added)
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
