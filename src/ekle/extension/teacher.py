"""The base model as a teacher: loaded, frozen, with a token to open a passage with."""

import math
import os
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from ekle.errors import CheckpointError
from ekle.model.device import device_here
from ekle.model.load import load_model
from ekle.model.weights import open_weights

_OPENING = "<|endoftext|>"


def load_teacher(base: Path) -> Any:
    """The model in the folder `base`, frozen: bfloat16 on a GPU, float32 on a processor.

    Raises:
        CheckpointError: it cannot be loaded, or does not fit the memory.
    """
    device, dtype = device_here()
    _check_memory(base, dtype)
    try:
        model = load_model(base, dtype).to(device)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise CheckpointError(_too_large(base)) from error
    return model.eval().requires_grad_(False)


def _check_memory(base: Path, dtype: torch.dtype) -> None:
    """Refuse a model that is larger than all memory, before the system kills whoever loads it."""
    with open_weights(base) as weights:
        numbers = sum(math.prod(weights.shape(name)) for name in weights.names())
    if numbers * dtype.itemsize > memory_bytes():
        raise CheckpointError(_too_large(base))


def memory_bytes() -> int:
    """Memory of the device that models run on: the GPU's, or the machine's."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[1])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system says
        return sys.maxsize


def _too_large(base: Path) -> str:
    return (
        f"{base} does not fit the memory, and distilling runs it; take another --init, or a GPU that holds it"
    )


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
