"""Loading with transformers: configuration, model, tokenizer, and whether every tensor is there.

Weights are read from local safetensors only, and code that comes with a model is never run.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from ekle.errors import CheckpointError
from ekle.model.checkpoint.weights import OUTPUT_EMBEDDINGS, Weights


def load_config(folder: Path) -> Any:
    """The configuration of the model in `folder`, with defaults for what config.json leaves out.

    Raises:
        CheckpointError: transformers does not know such a model, or the file is damaged.
    """
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        described = f"{folder / 'config.json'} describes no model that can be run"
        raise CheckpointError(f"{described}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Why transformers refused a model, in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if "trust_remote_code" in str(error):
        return "it needs Python code that comes with it, and ekle runs none; take one that transformers knows"
    return lines[0]


def load_model(folder: Path, dtype: torch.dtype, attention: str | None = None) -> Any:
    """The model in `folder`, in main memory.

    Args:
        folder: config.json and safetensors.
        dtype: precision of the weights.
        attention: name of the attention implementation; None leaves the choice to transformers.

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
        raise CheckpointError(f"{folder} cannot be loaded as a model: {_reason(error)}") from error
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
        raise CheckpointError(f"{folder} has no tokenizer that can be loaded: {_reason(error)}") from error


def expected_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of every tensor that a model with this config.json stores; without a tied head.

    The model is built on the meta device, without memory for its weights.

    Raises:
        CheckpointError: config.json describes no model that can be built.
    """
    config = load_config(folder)
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # of any type, by whatever code a wrong setting reaches
        described = f"{folder / 'config.json'} describes no model that can be built"
        raise CheckpointError(f"{described}: {_reason(error)}") from error
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        shapes.pop(OUTPUT_EMBEDDINGS, None)
    return shapes


def check_complete(weights: Weights) -> None:
    """Check that every tensor which config.json implies is there, in its shape.

    There may be more tensors: some checkpoints store what others compute.

    Raises:
        CheckpointError: one is missing or has another shape, or config.json describes no model.
    """
    implied, found = expected_shapes(weights.folder), set(weights.names())
    if missing := [name for name in implied if name not in found]:
        more = f" and {len(missing) - 1} more of its tensors" if len(missing) > 1 else ""
        raise CheckpointError(
            f"{weights.folder} lacks {missing[0]}{more}, which its config.json asks for; fetch it again"
        )
    for name, shape in implied.items():
        if weights.shape(name) != shape:
            raise CheckpointError(
                f"{weights.folder} has {name} in the shape {list(weights.shape(name))}, its config.json asks "
                f"for {list(shape)}; they do not belong together"
            )
