"""Merging what was trained into the model that it was trained on, to measure it and to release it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ekle.artifacts import Checkpoint
from ekle.errors import CheckpointError
from ekle.model.checkpoint.adapter import StoredAdapter
from ekle.model.checkpoint.loading import load_model, load_tokenizer, superfluous_head
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS, Weights, open_weights
from ekle.model.layers.dora import merged_weights, scale_of
from ekle.model.layers.new_rows import StoredNewRows, read_new_rows


def load_trained(
    model_folder: Path, checkpoint: Checkpoint | None, dtype: torch.dtype, device: torch.device
) -> tuple[Any, Any]:
    """The model with the checkpoint merged into its weights, and its tokenizer.

    Args:
        model_folder: what was trained: the model folder of the extension stage, or that of the base.
        checkpoint: adapter and new rows; None gives the model as it is.
        dtype: precision of the weights. They are merged in float32 and rounded to their stored precision
            first, so that what is measured is what is released.
        device: where the model goes.

    Raises:
        CheckpointError: model or checkpoint is damaged, or the checkpoint is of another model.
    """
    model, tokenizer = load_model(model_folder, dtype), load_tokenizer(model_folder)
    if checkpoint is not None:
        with open_weights(model_folder) as weights, torch.no_grad():
            changes = _Changes(weights, checkpoint)
            for name in changes.names():
                model.get_parameter(name).copy_(changes.merged(name))
    return model.to(device), tokenizer


def merged_tensors(model_folder: Path, checkpoint: Checkpoint | None) -> Iterator[tuple[str, Tensor]]:
    """Each tensor of `stored_once`, with the checkpoint merged; one is in memory at a time.

    Adapted weights are merged in float32 and rounded to their stored precision. New rows, if there are any,
    replace those of the model. All other tensors stay the same, bit for bit.

    Raises:
        CheckpointError: as for `load_trained`, before the first tensor.
    """
    with open_weights(model_folder) as weights:
        changes = _Changes(weights, checkpoint) if checkpoint is not None else None
        changed = changes.names() if changes else set()
        for name in stored_once(weights):
            yield name, changes.merged(name) if changes and name in changed else weights.read(name)


def stored_once(weights: Weights) -> list[str]:
    """Names of the tensors of a model, sorted, without a byte-equal copy of tied embeddings.

    Raises:
        CheckpointError: as `superfluous_head`.
    """
    left_out = superfluous_head(weights)
    return [name for name in weights.names() if name not in left_out]


class _Changes:
    """A checkpoint, with the weights that it was trained on.

    Raises:
        CheckpointError: it was trained on other weights.
    """

    def __init__(self, weights: Weights, checkpoint: Checkpoint) -> None:
        self._weights = weights
        self._adapter = StoredAdapter(checkpoint.adapter)
        self._scale = scale_of(self._adapter.settings)
        names = self._names = stored_once(weights)
        self._rows = read_new_rows(checkpoint.rows) if checkpoint.has_new_rows else None
        self._ends = {INPUT_EMBEDDINGS: "input", OUTPUT_EMBEDDINGS: "output"} if self._rows else {}
        self._layers = {
            name: layer
            for name in names
            if (layer := name.removesuffix(".weight")) != name and self._adapter.has(layer)
        }
        if len(self._layers) != self._adapter.count():
            raise CheckpointError(
                f"{checkpoint.adapter} adapts {self._adapter.count()} layers, of which the model has "
                f"{len(self._layers)}; they do not belong together"
            )
        if self._rows is not None:
            self._check_rows(checkpoint.rows, self._rows)

    def names(self) -> set[str]:
        """Tensors that training changed."""
        return {*self._layers, *(name for name in self._ends if name in self._names)}

    def merged(self, name: str) -> Tensor:
        """The tensor `name`, one of `names`, after training."""
        tensor = self._weights.read(name)
        if name in self._layers:
            return merged_weights(tensor, *self._adapter.layer(self._layers[name]), self._scale)
        assert self._rows is not None, f"training did not change {name}"
        new = self._rows.tensors[self._ends[name]]
        return torch.cat([tensor[: self._rows.first_new_id], new.to(tensor.dtype)])

    def _check_rows(self, path: Path, rows: StoredNewRows) -> None:
        present = {end: name for name, end in self._ends.items() if name in self._names}
        if set(present) != set(rows.tensors):
            raise CheckpointError(
                f"{path} holds {' and '.join(sorted(rows.tensors))} rows, the model has "
                f"{' and '.join(sorted(present))} rows; they do not belong together"
            )
        for end, name in present.items():
            count, width = rows.tensors[end].shape
            if self._weights.shape(name) != (rows.first_new_id + count, width):
                raise CheckpointError(
                    f"{path} holds {count:,} rows of width {width} from id {rows.first_new_id:,}, which does "
                    f"not fit {name} of shape {self._weights.shape(name)}"
                )
