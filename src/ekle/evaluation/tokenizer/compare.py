"""`ekle compare`: tokenizers side by side on text files. Needs no model and no tensor library."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.bpe.base import load_tokenizer
from ekle.bpe.measure import (
    TokenCounts,
    count_pre_tokens,
    count_tokens,
    measure_drift,
    split_lines,
    time_decoding,
    time_encoding,
)
from ekle.bpe.segmentation import added_tokens, is_byte_level, list_changes
from ekle.evaluation.texts import file_texts
from ekle.evaluation.tokenizer.morphology import measure_text
from ekle.evaluation.trust.intervals import ratio, saved, share
from ekle.recipe.evaluation import EvaluationSettings

_SPEED_CHARACTERS = 400_000
_SETTINGS = EvaluationSettings()  # of the intervals: compare has no recipe


def compare_tokenizers(
    tokenizers: Mapping[str, Path | str], texts: Mapping[str, Path], *, changes: bool = False
) -> list[dict[str, Any]]:
    """Measure each tokenizer on each text file; the first one is what the others are held against.

    Args:
        tokenizers: by the name to print: a folder, a tokenizer.json, "qwen3" or a hub id.
        texts: by the name to print: a file or folder.
        changes: whether to list what each cuts differently from the first.

    Returns:
        One entry a tokenizer: `name`, `tokens` (vocabulary size), `texts` (by name: tokens,
        bytes_per_token, tokens_per_word, floor, lines, tokens_saved, lines_changed, changes, and where the
        text is Turkish `morphology`, its cuts against a lexicon; see `morphology.shares_of`) and
        `characters_per_second`, `speed` (against the first), for decoding
        `decoded_characters_per_second`, `decoding_speed`. `tokens_saved`, `lines_changed` and both speeds
        against the first are objects with `value` and their interval. `lines_changed` and `changes` (a
        `Change` each, all of them) are absent where the two spell their tokens differently; the first has no
        figures against itself.

    Raises:
        TextError: a text cannot be read, or holds no words.
        TokenizerError, InputError: a tokenizer cannot be opened.
    """
    read = file_texts(texts, {}).held_out
    opened = {name: load_tokenizer(where) for name, where in tokenizers.items()}
    first, *others = opened.values()
    before = {title: count_tokens(first, documents) for title, documents in read.items()}
    morphology = {title: measure_text(opened, documents, _SETTINGS) for title, documents in read.items()}
    rows: list[dict[str, Any]] = []
    for name, tokenizer in opened.items():
        alike = tokenizer is not first and is_byte_level(first) and is_byte_level(tokenizer)
        added = added_tokens(first, tokenizer) if alike and changes else None
        figures = {}
        for title, documents in read.items():
            if tokenizer is first:
                figures[title] = _counted(first, documents, before[title])
                continue
            counts = count_tokens(tokenizer, documents)
            figures[title] = _counted(tokenizer, documents, counts) | {
                "tokens_saved": saved(
                    counts.tokens, before[title].tokens, _SETTINGS.resamples, _SETTINGS.seed
                ),
                **(_changed(first, tokenizer, documents, added) if alike else {}),
            }
        for title, part in morphology.items():
            if name in part.get("by_tokenizer", {}):
                figures[title]["morphology"] = part["by_tokenizer"][name]
        rows.append({"name": name, "tokens": tokenizer.get_vocab_size(), "texts": figures})
    some, every = _some(read), [first, *others]
    for rate, against, timed in (
        ("characters_per_second", "speed", time_encoding(every, some)),
        ("decoded_characters_per_second", "decoding_speed", time_decoding(every, some)),
    ):
        for place, row in enumerate(rows):
            row[rate] = timed.rates[place]
            if place:
                row[against] = ratio(
                    timed.seconds[0], timed.seconds[place], _SETTINGS.resamples, _SETTINGS.seed
                )
    return rows


def _counted(tokenizer: Tokenizer, documents: Sequence[str], counts: TokenCounts) -> dict[str, Any]:
    return {
        "tokens": int(counts.tokens.sum()),
        "bytes_per_token": counts.bytes_per_token,
        "tokens_per_word": counts.tokens_per_word,
        "floor": int(count_pre_tokens(tokenizer, documents).sum()),
    }


def _changed(
    first: Tokenizer, tokenizer: Tokenizer, documents: Sequence[str], added: frozenset[bytes] | None
) -> dict[str, Any]:
    """The lines that are cut differently, and where `added` are the new tokens, what is in them."""
    lines = split_lines(documents)
    drift = measure_drift(first, tokenizer, lines)
    figures: dict[str, Any] = {"lines": drift.lines, "lines_changed": share(len(drift.changed), drift.lines)}
    if added is not None:
        changed = [lines[place] for place in drift.changed]
        listed = list_changes(first, tokenizer, changed, added)
        figures["changes"] = [asdict(change) for change in listed]
    return figures


def _some(texts: Mapping[str, Sequence[str]]) -> list[str]:
    """An equal part of each text, together enough to time an encoder."""
    chosen: list[str] = []
    for documents in texts.values():
        characters = 0
        for text in documents:
            if characters >= _SPEED_CHARACTERS // len(texts):
                break
            chosen.append(text)
            characters += len(text)
    return chosen
