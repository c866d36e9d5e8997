"""Loading with transformers: configuration, model, tokenizer, and whether config and weights agree.

Weights are read from local safetensors only, and code that comes with a model is never run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from ekle.errors import CheckpointError
from ekle.model.checkpoint.companions import ADAPTER
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS, Weights


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
        with _without_adapter(folder) as place:
            return AutoModelForCausalLM.from_pretrained(
                place,
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


@contextmanager
def _without_adapter(folder: Path) -> Iterator[Path]:
    """The folder, or one with links to its files but for an adapter.

    transformers takes a folder with an adapter for the adapter alone, and looks for the model elsewhere.
    """
    if not (folder / ADAPTER).exists():
        yield folder
        return
    with TemporaryDirectory(prefix="ekle-") as name:
        for path in folder.iterdir():
            if path.is_file() and not path.name.startswith("adapter_"):
                (Path(name) / path.name).symlink_to(path.resolve())
        yield Path(name)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of the model in `folder`, as transformers opens it.

    Truncation, padding and merge dropout are off, as in `ekle.bpe.opening`.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # of any type, by whatever code a wrong setting reaches
        raise CheckpointError(f"{folder} has no tokenizer that can be loaded: {_reason(error)}") from error
    if (inner := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        inner.no_truncation()
        inner.no_padding()
        if getattr(inner.model, "dropout", None):
            inner.model.dropout = None
    return tokenizer


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


def superfluous_head(weights: Weights) -> frozenset[str]:
    """The output embeddings, if they are a byte-equal copy of tied input embeddings; else nothing.

    Qwen3-0.6B is published with such a copy. An extended model does without: it uses one matrix, and a copy
    could only become wrong.

    Config and weights must agree, because transformers goes on where they do not: it unties a model that
    config.json ties if the weights hold two different matrices, and it fills a missing output matrix with
    random numbers. Each happens without an error, so that a wrong model would be extended and measured.

    Raises:
        CheckpointError: config.json ties the two and the weights hold two different ones, or it does not tie
            them and the weights hold only one.
    """
    folder = weights.folder
    tied = bool(load_config(folder).tie_word_embeddings)
    present = OUTPUT_EMBEDDINGS in weights.names()
    if not tied and not present:
        raise CheckpointError(
            f"{folder} has no {OUTPUT_EMBEDDINGS}, and its config.json does not tie the head; "
            "set tie_word_embeddings to true there if the model is a tied one, or fetch the weights again"
        )
    if not tied or not present:
        return frozenset()
    ends = INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS
    alike = len({(weights.shape(name), weights.dtype(name)) for name in ends}) == 1
    if not alike or weights.digest(INPUT_EMBEDDINGS) != weights.digest(OUTPUT_EMBEDDINGS):
        raise CheckpointError(
            f"{folder} ties the head in config.json but its {OUTPUT_EMBEDDINGS} differs from "
            f"{INPUT_EMBEDDINGS}; set tie_word_embeddings to false there"
        )
    return frozenset({OUTPUT_EMBEDDINGS})
