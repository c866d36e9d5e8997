"""The base model as a teacher: loaded, frozen, with a token to open a passage with."""

import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from ekle.errors import CheckpointError

_OPENING = "<|endoftext|>"


def load_teacher(base: Path) -> Any:
    """The model in the folder `base`, frozen: bfloat16 on a GPU, float32 on a processor.

    Raises:
        CheckpointError: it cannot be loaded, or does not fit the memory.
    """
    logging.disable_progress_bar()  # ekle has a bar of its own
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=dtype, use_safetensors=True, local_files_only=True
        ).to(device)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{base} cannot be loaded as a model: {reason}") from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise CheckpointError(
            f"{base} does not fit the memory, and distilling runs it; take another --init"
        ) from error
    return model.eval().requires_grad_(False)


def opening_id(tokenizer: Tokenizer, config: Any) -> int:
    """A token that begins texts: <|endoftext|>, or what the configuration names as first or last token."""
    named = tokenizer.token_to_id(_OPENING)
    for found in (named, config.bos_token_id, config.eos_token_id):
        if found is not None:
            return int(found[0] if isinstance(found, list) else found)
    return 0  # whatever it is, it stands before every passage in either cut


def layers_at(depth: float, layers: int) -> int:
    """The number of layers, at least one, that comes nearest to a share of `layers`."""
    return min(max(math.floor(depth * layers + 0.5), 1), layers)
