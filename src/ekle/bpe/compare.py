"""Any number of tokenizers side by side on the same texts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.bpe.base import load_base
from ekle.bpe.changes import added_tokens, list_changes
from ekle.bpe.measure import TokenCounts, count_floor, count_tokens, measure_drift, split_lines
from ekle.bpe.spans import is_byte_level
from ekle.bpe.speed import decode_speeds, encode_speeds
from ekle.errors import TokenizerError

_SPEED_CHARACTERS = 400_000


def load_tokenizer(name: Path | str) -> Tokenizer:
    """Open a tokenizer of any kind: a tokenizer.json, a folder or run folder with one, "qwen3" or a hub id.

    Raises:
        TokenizerError: the file is no tokenizer.
        InputError: there is nothing of that name.
    """
    path = Path(name)
    places = (
        path,
        path / "tokenizer.json",
        path / "tokenizer" / "tokenizer.json",
        path / "model" / "tokenizer.json",
    )
    for file in places:
        if file.is_file():
            try:
                return Tokenizer.from_file(str(file))
            except Exception as error:  # the library raises plain Exception for every malformed file
                raise TokenizerError(f"{file} is no tokenizer: {error}") from error
    return load_base(str(name)).tokenizer()


def compare_tokenizers(
    tokenizers: Mapping[str, Path | str], texts: Mapping[str, Sequence[str]], *, changes: bool = False
) -> list[dict[str, Any]]:
    """Measure each tokenizer on each text; the first tokenizer is what the others are held against.

    Args:
        tokenizers: by the name to print.
        texts: by name.
        changes: whether to list what each cuts differently from the first.

    Returns:
        One entry a tokenizer: `name`, `tokens` (vocabulary size), `texts` (by name: tokens,
        bytes_per_token, tokens_per_word, floor, tokens_saved, lines_changed) and
        `characters_per_second`, `speed` (against the first), for decoding
        `decoded_characters_per_second`, `decoding_speed`. `lines_changed` and `changes` (a `Change` each, all
        of them) are absent where the two spell their tokens differently; the first has no figures against
        itself.

    Raises:
        TokenizerError, InputError: a tokenizer cannot be opened.
        TextError: a text holds no words.
    """
    opened = {name: load_tokenizer(where) for name, where in tokenizers.items()}
    rows: list[dict[str, Any]] = []
    first_counts: dict[str, TokenCounts] = {}
    first: Tokenizer | None = None
    for name, tokenizer in opened.items():
        figures: dict[str, dict[str, Any]] = {}
        added: frozenset[bytes] | None = None
        for title, documents in texts.items():
            counts = count_tokens(tokenizer, documents)
            figures[title] = {
                "tokens": int(counts.tokens.sum()),
                "bytes_per_token": counts.bytes_per_token,
                "tokens_per_word": counts.tokens_per_word,
                "floor": int(count_floor(tokenizer, documents).sum()),
            }
            if first is None:
                first_counts[title] = counts
            else:
                figures[title]["tokens_saved"] = counts.saved(first_counts[title])
                if is_byte_level(first) and is_byte_level(tokenizer):
                    lines = split_lines(documents)
                    drift = measure_drift(first, tokenizer, lines)
                    figures[title] |= {"lines": drift.lines, "lines_changed": drift.share}
                    if changes:
                        changed = [lines[place] for place in drift.changed]
                        added = added_tokens(first, tokenizer) if added is None else added
                        listed = list_changes(first, tokenizer, changed, added)
                        figures[title]["changes"] = [asdict(change) for change in listed]
        first = first or tokenizer
        rows.append({"name": name, "tokens": tokenizer.get_vocab_size(), "texts": figures})
    some, every = _some(texts), list(opened.values())
    encoding, decoding = encode_speeds(every, some), decode_speeds(every, some)
    for place, row in enumerate(rows):
        row["characters_per_second"] = encoding[place]
        row["decoded_characters_per_second"] = decoding[place]
        if place:
            row["speed"] = encoding[place] / encoding[0]
            row["decoding_speed"] = decoding[place] / decoding[0]
    return rows


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
