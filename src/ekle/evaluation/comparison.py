"""`ekle compare`: tokenizers side by side on text files. Needs no model and no tensor library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ekle.bpe import compare
from ekle.evaluation.texts import file_texts


def compare_tokenizers(
    tokenizers: Mapping[str, Path | str], texts: Mapping[str, Path], *, changes: bool = False
) -> list[dict[str, Any]]:
    """Measure each tokenizer on each text file; the first one is what the others are held against.

    Args:
        tokenizers: by the name to print: a folder, a tokenizer.json, "qwen3" or a hub id.
        texts: by the name to print: a file or folder.
        changes: whether to list what each cuts differently from the first.

    Returns:
        What `ekle.bpe.compare.compare_tokenizers` returns.

    Raises:
        TextError: a text cannot be read.
        TokenizerError, InputError: a tokenizer cannot be opened.
    """
    read: dict[str, Sequence[str]] = dict(file_texts(texts, {}).held_out)
    return compare.compare_tokenizers(tokenizers, read, changes=changes)
