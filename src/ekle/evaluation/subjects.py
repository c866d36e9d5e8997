"""The models that are measured, loaded one at a time and only when something is left to measure."""

import gc
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from ekle.artifacts import Checkpoint
from ekle.model.trained import load_trained
from ekle.model.weights import open_weights


class Subject:
    """A model under test.

    Args:
        name: base, extended or trained; a key of report.json.
        folder: model and tokenizer.
        checkpoint: what training changed, put on top of `folder`; None for an unchanged model.
    """

    def __init__(self, name: str, folder: Path, checkpoint: Checkpoint | None = None) -> None:
        self.name, self.folder, self.checkpoint = name, folder, checkpoint

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """Model and tokenizer: bfloat16 on a GPU, float32 on a CPU.

        Raises:
            CheckpointError: the folder is no model, or is damaged.
        """
        logging.disable_progress_bar()  # ekle has a bar of its own
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        open_weights(self.folder).close()  # says best what is missing or damaged
        model, tokenizer = load_trained(self.folder, self.checkpoint, dtype, device)
        return model.eval(), tokenizer

    def size(self) -> dict[str, int]:
        """How many parameters the model has, and how many of them are embedding and output rows."""
        model, _ = self.loaded
        rows = {id(item): item for part in _row_parts(model) for item in part.parameters()}
        return {
            "parameters": sum(item.numel() for item in model.parameters()),
            "row_parameters": sum(item.numel() for item in rows.values()),
        }

    def close(self) -> None:
        """Let go of the model's memory."""
        self.__dict__.pop("loaded", None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_model(folder: Path) -> bool:
    """Whether `folder` holds a model and not a tokenizer alone."""
    return (folder / "config.json").is_file()


def _row_parts(model: Any) -> list[Any]:
    return [model.get_input_embeddings(), model.get_output_embeddings()]
