"""Teacher and student of Token Distillation: loading the frozen base, and learning from one batch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ekle.bpe.tokenizer_pair import AlignedEncoding
from ekle.errors import CheckpointError
from ekle.extension.rules.held_out import bits_per_byte, split_ends
from ekle.model.checkpoint.loading import load_config, load_model
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS, open_weights
from ekle.model.device import frozen_precision, inference_device, memory_bytes
from ekle.model.layers.hidden_states import (
    captured_outputs,
    first_layers,
    hidden_state_distance,
    shared_boundaries,
    with_prefix_token,
)
from ekle.model.layers.loss import chunk_size, chunked_cross_entropy
from ekle.model.layers.new_rows import RowAdam
from ekle.model.processes import Processes

_CHUNK_NUMBERS = 16_000_000  # a CPU copies integers to 64 bits to sum them


class Distiller:
    """The frozen base as teacher, its lower layers with the new rows as student.

    Args:
        model: the base, on its device; its parameters must not require gradients.
        start: new rows (new tokens, width) in float32 by the name of their matrix; without
            `OUTPUT_EMBEDDINGS` input and output embeddings are tied.
        prefix_token: id of the token before every passage (`ekle.model.encoding.prefix_token_id`). It is the
            same in both tokenizations and is not counted in the losses.
        depth: layers after which hidden states are compared.
        output_weight: weight of the cross-entropy; 0 leaves output embeddings as they are.
    """

    def __init__(
        self, model: Any, start: Mapping[str, Tensor], prefix_token: int, depth: int, output_weight: float
    ) -> None:
        self._model, self.prefix_token = model, prefix_token
        self._depth, self._output_weight = depth, output_weight
        self._student = first_layers(model, depth)
        self._teacher_layer = model.get_decoder().layers[depth - 1]
        rows, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        self.first_new_id = len(rows)
        tables = {name: nn.Parameter(table.to(rows.device, copy=True)) for name, table in start.items()}
        self._tables = tables
        self._embedding, self._head = split_ends(rows, head, tables)
        self.adams = {name: RowAdam(table.data) for name, table in tables.items()}

    def rows(self) -> dict[str, Tensor]:
        """The new rows (new tokens, width), by the name of their matrix; they change with each step."""
        return {name: table.data for name, table in self._tables.items()}

    def fixed(self) -> dict[str, Any]:
        """Everything in here that does not change but decides the result, for JSON."""
        return {
            "opening": self.prefix_token,  # as in version 0.1, so that its interrupted states resume
            "depth": self._depth,
            "output_weight": self._output_weight,
            "base": sums_of_bits(self._model),
        }

    def step(self, passages: Sequence[AlignedEncoding], rates: Mapping[str, float]) -> tuple[float, float]:
        """Learn from one batch, with the learning rates `rates` by matrix.

        Returns:
            The distance of hidden states (`hidden_state_distance`), and the cross-entropy of the next token
            in nats (NaN if `output_weight` is 0).
        """
        distance, entropy = self.losses(passages)
        loss = distance if entropy is None else distance + self._output_weight * entropy
        loss.backward()
        seen = torch.cat([torch.from_numpy(passage.new) for passage in passages])
        used = {INPUT_EMBEDDINGS: torch.unique(seen[seen >= self.first_new_id] - self.first_new_id)}
        all_rows = torch.arange(len(self._tables[INPUT_EMBEDDINGS]))
        if entropy is not None:  # every row is in the softmax, so every row has a gradient
            used[OUTPUT_EMBEDDINGS if OUTPUT_EMBEDDINGS in self._tables else INPUT_EMBEDDINGS] = all_rows
        for name, table in self._tables.items():
            if table.grad is not None and name in used:
                self.adams[name].step(table.grad, used[name].to(table.device), rates[name])
            table.grad = None
        return distance.item(), float("nan") if entropy is None else entropy.item()

    def bits_per_byte(self, sequences: Tensor, text_bytes: int) -> float:
        """Bits per byte of the whole model with the rows as they are, on packed sequences (B, T).

        See `ekle.extension.rules.held_out.bits_per_byte`.
        """
        alone = Processes(0, 1, sequences.device)
        return bits_per_byte(self._model, self.rows(), sequences, text_bytes, self.prefix_token, alone)

    def losses(self, passages: Sequence[AlignedEncoding]) -> tuple[Tensor, Tensor | None]:
        """Distance and cross-entropy of a batch, scalars; see `step`."""
        device = self._embedding.base.device
        at_depth, last = self._teacher_states([passage.base for passage in passages])
        ids, mask = self._padded([passage.new for passage in passages])
        states = self._student(
            inputs_embeds=self._embedding(ids), attention_mask=mask, use_cache=False
        ).last_hidden_state
        distance = hidden_state_distance(at_depth, states, shared_boundaries(passages, self.first_new_id))
        if not self._output_weight:
            return distance, None
        places, labels = _predicted(passages)
        rows = self.first_new_id + len(self._tables[INPUT_EMBEDDINGS])
        hidden = last[tuple(places.to(device))]
        return distance, chunked_cross_entropy(
            hidden, self._head, labels.to(device), chunk_size(rows, device)
        )

    @torch.no_grad()
    def _teacher_states(self, texts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, D) of the base in its own tokenization: at the depth, and the last."""
        ids, mask = self._padded(texts)
        decoder = self._model.get_decoder() if self._output_weight else self._student
        with captured_outputs([self._teacher_layer]) as outputs:
            last = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return outputs[0], last

    def _padded(self, texts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        return with_prefix_token(texts, self.prefix_token, self._embedding.base.device)


def _predicted(passages: Sequence[AlignedEncoding]) -> tuple[Tensor, Tensor]:
    """Places (2, n) in the base's tokenization after which a new tokenization has a token, and that (n,)."""
    places: list[tuple[int, int]] = []
    labels: list[int] = []
    for number, passage in enumerate(passages):
        places.append((number, 0))
        labels.append(int(passage.new[0]))
        for base, new in zip(passage.base_ends.tolist(), passage.new_ends.tolist(), strict=True):
            if new + 1 < len(passage.new):
                places.append((number, base + 1))
                labels.append(int(passage.new[new + 1]))
    return torch.tensor(places).T, torch.tensor(labels)


def sums_of_bits(model: Any) -> dict[str, list[str | int]]:
    """Of each parameter of `model`, its type and the sum of its bits, which is exact in any order."""
    return {
        name: [str(parameter.dtype), _sum_of_bits(parameter.data)]
        for name, parameter in model.named_parameters()
    }


def _sum_of_bits(tensor: Tensor) -> int:
    bits = tensor.view({2: torch.int16, 4: torch.int32}[tensor.dtype.itemsize])
    return sum(int(chunk.sum()) for chunk in bits.reshape(-1).split(_CHUNK_NUMBERS))


def load_teacher(base: Path) -> Any:
    """The model in the folder `base`, frozen: in bfloat16 where that is faster (`frozen_precision`).

    Raises:
        CheckpointError: it cannot be loaded, or does not fit in memory.
    """
    device, _ = inference_device()
    dtype = frozen_precision(device, load_config(base).hidden_size)
    _check_memory(base, dtype)
    try:
        model = load_model(base, dtype).to(device)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise CheckpointError(_too_large(base)) from error
    return model.eval().requires_grad_(False)


def _check_memory(base: Path, dtype: torch.dtype) -> None:
    """Refuse a model that is larger than the memory, before the system kills the process that loads it."""
    with open_weights(base) as weights:
        parameter_count = sum(math.prod(weights.shape(name)) for name in weights.names())
    if parameter_count * dtype.itemsize > memory_bytes():
        raise CheckpointError(_too_large(base))


def _too_large(base: Path) -> str:
    return (
        f"{base} does not fit the memory, and distilling runs it; take another --init (extension.init), or a "
        "GPU that holds it"
    )
