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
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        described = f"{folder / 'config.json'} describes no model that can be run"
        raise CheckpointError(f"{described}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Why transformers did not take a model, in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if "trust_remote_code" in str(error):
        return "it needs Python code that comes with it, and ekle runs none; take one that transformers knows"
    return lines[0]
