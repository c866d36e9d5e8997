"""From counts to a vocabulary: merges, a tokenizer that uses them, and the evidence for each token."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ekle.artifacts import NewToken, Vocabulary
from ekle.bpe.base import BaseTokenizer, open_tokenizer, save_tokenizer
from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.continued import LearnedMerge, learn_merges
from ekle.bpe.graft import Merge, graft
from ekle.bpe.measure import count_tokens, measure_drift
from ekle.bpe.pieces import Pieces, cut
from ekle.counting import Counts
from ekle.errors import InputError, VocabularyError
from ekle.files import whole_file, write_json
from ekle.progress import Report
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.vocabulary.categories import Categories, Description
from ekle.vocabulary.profile import Cut, cut_for
from ekle.vocabulary.protected import protected_text
from ekle.vocabulary.select import fill_quotas

_POOL = 2.5  # merges learned for each token wanted, where categories choose among them
_POINTS = 40  # points of the growth curve
_NEVER = 1e12  # a price that no merge can pay


@dataclass(frozen=True)
class _Material:
    """Pre-tokens of the text to learn and of the protected text, with the base's cut of each."""

    table: pl.DataFrame
    pieces: Pieces
    weights: np.ndarray[Any, np.dtype[np.int64]]
    foreign: np.ndarray[Any, np.dtype[np.float64]]


def learn_vocabulary(
    counts: Counts,
    base: BaseTokenizer,
    settings: Settings,
    out: Path,
    report: Report,
    held_out: Mapping[str, Sequence[str]] | None = None,
    other: Mapping[str, Sequence[str]] | None = None,
) -> Vocabulary:
    """Learn `settings.size` tokens and write them to the folder `out`, which exists.

    Args:
        counts: pre-token counts made with `base`; the compact profile needs joined ones.
        held_out: genre to documents; the report says what the tokenizer saves on them.
        other: name to documents in other languages; the report says what changes in them.

    Raises:
        InputError: the counts were made with another tokenizer, or for another profile.
        VocabularyError: the counts do not support that many tokens.
    """
    if counts.base != base.fingerprint:
        raise InputError(
            f"the counts were made with tokenizer {counts.base}, but {base.name} is {base.fingerprint}"
        )
    protected = protected_text(settings.protect, settings.protect_built_in, base, report)
    cut_by_profile = cut_for(settings, counts, protected, base)
    material = _material(cut_by_profile, counts.words, base)
    categories = Categories(counts.apart().table, settings.min_count)
    merges, described, unfilled = _choose(material, base, settings, categories, report)
    spec, config = graft(base, _with_bytes(merges, base), cut_by_profile.pre_tokenizer)
    tokens = _evidence(merges, described, material, base, spec)
    save_tokenizer(out / "tokenizer", spec, config, base.chat_template)
    with whole_file(out / "tokens.jsonl") as path:
        path.write_text("".join(token.line() + "\n" for token in tokens), encoding="utf-8")
    before = int((material.pieces.lengths * material.weights).sum())
    summary: dict[str, Any] = {
        "size": len(tokens),
        "first_new_id": base.rows,
        "rows": base.rows + len(tokens),
        "base": {"name": base.name, "fingerprint": base.fingerprint},
        "profile": settings.profile,
        "strategy": settings.strategy,
        "settings": settings.model_dump(),
        "text": {"documents": counts.documents, "bytes": counts.text_bytes, "words": counts.words},
        "protected": protected.names,
        "growth": _growth(merges, before),
        "least_count_when_learned": min((merge.count for merge in merges), default=0),
        "tokens_used_less_than_min_count": sum(token.count < settings.min_count for token in tokens),
        "categories": _by_category(tokens),
        "quota_places_left_to_others": unfilled,
        "harmony": dict(Counter(token.harmony for token in tokens)),
        "held_out": {},
        "other": {},
    }
    old, new = base.tokenizer(), open_tokenizer(spec)
    for genre, texts in (held_out or {}).items():
        first, second = count_tokens(old, texts), count_tokens(new, texts)
        summary["held_out"][genre] = {
            "tokens_base": int(first.tokens.sum()),
            "tokens": int(second.tokens.sum()),
            "saved": second.saved(first),
            "bytes_per_token_base": first.bytes_per_token,
            "bytes_per_token": second.bytes_per_token,
        }
    for name, texts in (other or {}).items():
        drift = measure_drift(old, new, list(texts))
        summary["other"][name] = {"lines": drift.lines, "lines_changed": drift.share}
    write_json(out / "report.json", summary)
    return Vocabulary(out)


def _material(cut_by_profile: Cut, words: int, base: BaseTokenizer) -> _Material:
    # Foreign occurrences are put on the scale of the text: as if each protected text were as long.
    table = cut_by_profile.counts.join(
        cut_by_profile.foreign, on="text", how="full", coalesce=True
    ).with_columns(
        pl.col("count").fill_null(0), (pl.col("share").fill_null(0.0) * max(words, 1)).alias("foreign")
    )
    table = table.sort(["count", "text"], descending=[True, False])
    pieces = cut(base.tokenizer(), table["text"].to_list())
    return _Material(table, pieces, table["count"].to_numpy().copy(), table["foreign"].to_numpy().copy())


def _choose(
    material: _Material, base: BaseTokenizer, settings: Settings, categories: Categories, report: Report
) -> tuple[list[LearnedMerge], dict[int, Description], dict[str, int]]:
    bytes_of: list[bytes | None] = [None] * base.rows
    for token, number in base.vocab.items():
        if token not in base.added:
            bytes_of[number] = decode_token(token)
    guide = settings.strategy == "guide"
    quotas = settings.quotas
    if guide and sum(quotas.model_dump().values()) != settings.size:
        raise VocabularyError(
            f"vocabulary.quotas add up to {sum(quotas.model_dump().values()):,}, "
            f"but vocabulary.size is {settings.size:,}"
        )
    wanted = int(settings.size * _POOL) if guide else settings.size
    with report.task("learning merges", wanted, "merge") as task:
        pool = learn_merges(
            material.pieces,
            material.weights,
            bytes_of,
            size=wanted,
            min_count=settings.min_count,
            foreign=material.foreign,
            price=_NEVER if settings.protect_strict else settings.foreign_price,
            learned=task.advance,
        )
    if len(pool) < settings.size:
        raise VocabularyError(
            f"this text supports {len(pool):,} tokens that occur {settings.min_count:,} times, "
            f"not {settings.size:,}; "
            f"give more text, a smaller --size, or a smaller vocabulary.min_count"
        )
    described = {merge.id: categories.describe(merge.token.decode("utf-8")) for merge in pool}
    if not guide:
        return pool, described, {}
    chosen, unfilled = fill_quotas(pool, described, quotas, settings.size)
    return chosen, described, unfilled


def _with_bytes(merges: Sequence[LearnedMerge], base: BaseTokenizer) -> list[Merge]:
    """The merges spelled in bytes instead of ids."""
    spelled = {number: decode_token(token) for token, number in base.vocab.items() if token not in base.added}
    spelled.update({merge.id: merge.token for merge in merges})
    return [Merge(spelled[merge.left], spelled[merge.right]) for merge in merges]


def _evidence(
    merges: Sequence[LearnedMerge],
    described: Mapping[int, Description],
    material: _Material,
    base: BaseTokenizer,
    spec: dict[str, Any],
) -> list[NewToken]:
    """What each token does once all of them are there."""
    after = cut(open_tokenizer(spec), material.table["text"].to_list())
    rows = base.rows + len(merges)
    use = after.use(material.weights, rows)
    foreign = after.use(np.ceil(material.foreign).astype(np.int64), rows)
    plain = base.tokenizer()
    tokens: list[NewToken] = []
    for number, merge in enumerate(merges, start=base.rows):
        text = merge.token.decode("utf-8")
        pieces = plain.encode(text, add_special_tokens=False).ids
        about = described[merge.id]
        tokens.append(
            NewToken(
                id=number,
                text=text,
                category=about.category,
                morphemes=about.morphemes,
                count=int(use[number]),
                tokens_saved=int(use[number]) * (len(pieces) - 1),
                base_pieces=pieces,
                harmony=about.harmony,
                foreign_hits=int(foreign[number]),
            )
        )
    return tokens


def _growth(merges: Sequence[LearnedMerge], before: int) -> list[dict[str, float]]:
    """Tokens of the learning text after the first n merges, word lists included, at some n."""
    tokens = before - np.cumsum([0, *(merge.count for merge in merges)])
    sizes = sorted({round(len(merges) * point / _POINTS) for point in range(_POINTS + 1)})
    return [
        {"size": size, "tokens": int(tokens[size]), "saved": float(1 - tokens[size] / before)}
        for size in sizes
    ]


def _by_category(tokens: Sequence[NewToken]) -> dict[str, dict[str, int]]:
    figures: dict[str, dict[str, int]] = {}
    for token in tokens:
        row = figures.setdefault(token.category, {"tokens": 0, "tokens_saved": 0})
        row["tokens"] += 1
        row["tokens_saved"] += token.tokens_saved
    return figures
