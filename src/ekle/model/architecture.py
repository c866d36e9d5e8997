"""The tensors that a config.json implies, and whether a model folder has them."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from ekle.errors import CheckpointError
from ekle.model.config import load_config, reason
from ekle.model.weights import OUTPUT_ROWS, Weights


def implied_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of every tensor that a model with this config.json stores; a tied head is none of them.

    The model is built without memory for its weights.

    Raises:
        CheckpointError: config.json describes no model that can be built.
    """
    config = load_config(folder)
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # of any type: whatever stumbles over a setting that makes no sense
        described = f"{folder / 'config.json'} describes no model that can be built"
        raise CheckpointError(f"{described}: {reason(error)}") from error
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        shapes.pop(OUTPUT_ROWS, None)
    return shapes


def check_complete(weights: Weights) -> None:
    """Check that every tensor which config.json implies is there and has its shape.

    More tensors may be there: some checkpoints store what others compute.

    Raises:
        CheckpointError: one is missing or has another shape, or config.json describes no model.
    """
    implied, found = implied_shapes(weights.folder), set(weights.names())
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
