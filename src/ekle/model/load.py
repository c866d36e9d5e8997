"""A model folder, loaded by transformers: from safetensors on this disk, and without code that lies there."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from ekle.errors import CheckpointError
from ekle.model.config import reason


def load_model(folder: Path, dtype: torch.dtype, attention: str | None = None) -> Any:
    """The model in `folder`, in main memory.

    Args:
        folder: config.json and safetensors.
        dtype: precision of the weights.
        attention: name of the attention that transformers is to use; None leaves the choice to it.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    logging.disable_progress_bar()  # ekle has a bar of its own
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be loaded as a model: {reason(error)}") from error
    except RuntimeError as error:
        if "mismatched" not in str(error):
            raise
        raise CheckpointError(
            f"{folder} has weights of other shapes than its config.json says; they do not belong together"
        ) from error


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of the model in `folder`.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} has no tokenizer that can be loaded: {reason(error)}") from error
