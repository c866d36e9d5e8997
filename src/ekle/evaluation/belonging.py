"""Whether a model folder holds the tokenizer that its rows were made for."""

from pathlib import Path

from tokenizers import Tokenizer

from ekle.errors import CheckpointError
from ekle.model.weights import INPUT_ROWS, open_weights

_PADDING = 512
"""Rows without a token that a model may have more than another of its family: Qwen3 has 267, Qwen2.5 up to
399."""


def check_belonging(model: Path, tokenizer: Tokenizer, base: Path, *, recorded: bool) -> None:
    """See that the tokenizer in an extended model's folder reaches its new rows.

    With the base's tokenizer the model runs, and is measured as if it had never been extended.

    Args:
        model: the extended model.
        tokenizer: the one in that folder.
        base: the model that it was made from.
        recorded: whether `ekle extend` has left its record; then every row has a token. Without one the new
            rows are those that the base does not have, as long as they are too many to be padding.

    Raises:
        CheckpointError: it does not, or a folder is damaged.
    """
    ids = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    rows, before = _rows(model), _rows(base)
    if ids < rows and (recorded or (ids <= before and rows - before > _PADDING)):
        raise CheckpointError(
            f"{model} has {rows:,} embedding rows, and no token of its tokenizer is for the last "
            f"{rows - max(ids, before):,}; take tokenizer and model from one ekle extend"
        )


def _rows(folder: Path) -> int:
    with open_weights(folder) as weights:
        return weights.shape(INPUT_ROWS)[0]
