"""The configuration of a model folder, as transformers understands it."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig

from ekle.errors import CheckpointError


def load_config(folder: Path) -> Any:
    """The configuration of the model in `folder`, with what config.json leaves out filled in.

    Raises:
        CheckpointError: transformers does not know such a model, or the file is damaged.
    """
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{folder / 'config.json'} describes no model that can be run: {reason}"
        ) from error
