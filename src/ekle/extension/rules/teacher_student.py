"""Teacher and student of Token Distillation: loading the frozen base, and the losses for one batch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ekle.bpe.tokenizer_pair import AlignedEncoding
from ekle.errors import CheckpointError
from ekle.model.checkpoint.loading import load_model
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS, open_weights
from ekle.model.device import inference_device, memory_bytes
from ekle.model.layers.hidden_states import (
    captured_outputs,
    first_layers,
    hidden_state_distance,
    shared_boundaries,
    with_prefix_token,
)
from ekle.model.layers.loss import chunk_size, chunked_cross_entropy
from ekle.model.layers.new_rows import RowAdam, SplitEmbedding, SplitHead

_CHUNK_NUMBERS = 16_000_000  # numbers; a sum of integers copies them to 64 bits on a CPU


class Distiller:
    """A frozen base as teacher, its lower layers as student, and the new rows between them.

    Args:
        model: the base, on its device; its parameters must not require gradients.
        start: new rows (new tokens, width) in float32 by the name of their matrix; without
            `OUTPUT_EMBEDDINGS` the model ties its head, and one row serves both ends.
        opening: id of a base token put before every passage. Models hang much of their attention on the first
            token, whatever it is; here it is the same in both cuts and counts for nothing.
        depth: layers after which hidden states are compared.
        output_weight: weight of the cross-entropy; 0 leaves output rows as they are.
    """

    def __init__(
        self, model: Any, start: Mapping[str, Tensor], prefix_token: int, depth: int, output_weight: float
    ) -> None:
        self._model, self._prefix_token, self._depth, self._output_weight = (
            model,
            prefix_token,
            depth,
            output_weight,
        )
        self._student = first_layers(model, depth)
        self._teacher_layer = model.get_decoder().layers[depth - 1]
        rows, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        self.first = len(rows)
        tables = {name: nn.Parameter(table.to(rows.device, copy=True)) for name, table in start.items()}
        self._tables = tables
        self._embedding = SplitEmbedding(_frozen(rows), tables[INPUT_EMBEDDINGS])
        self._head = SplitHead(_frozen(head), tables.get(OUTPUT_EMBEDDINGS, tables[INPUT_EMBEDDINGS]))
        self.adams = {name: RowAdam(table.data) for name, table in tables.items()}

    def rows(self) -> dict[str, Tensor]:
        """The new rows as they are now."""
        return {name: table.data for name, table in self._tables.items()}

    def fixed(self) -> dict[str, Any]:
        """All that does not learn but decides what the rows become, as JSON takes it.

        Of each parameter of the base its type and the sum of its bits, which is exact in any order.
        """
        base = {
            name: [str(parameter.dtype), _sum_of_bits(parameter.data)]
            for name, parameter in self._model.named_parameters()
        }
        return {
            "opening": self._prefix_token,
            "depth": self._depth,
            "output_weight": self._output_weight,
            "base": base,
        }

    def step(self, passages: Sequence[AlignedEncoding], rates: Mapping[str, float]) -> tuple[float, float]:
        """Learn from a batch, with steps of the length `rates` by matrix.

        Returns:
            The squared distance of hidden states, as a share of their own square, and the cross-entropy of
            the next token in nats (nan where it is not asked for).
        """
        distance, entropy = self.losses(passages)
        loss = distance if entropy is None else distance + self._output_weight * entropy
        loss.backward()
        seen = torch.cat([torch.from_numpy(passage.new) for passage in passages])
        used = {INPUT_EMBEDDINGS: torch.unique(seen[seen >= self.first] - self.first)}
        everything = torch.arange(len(self._tables[INPUT_EMBEDDINGS]))
        if entropy is not None:  # the softmax reaches every row, also to hold it back
            used[OUTPUT_EMBEDDINGS if OUTPUT_EMBEDDINGS in self._tables else INPUT_EMBEDDINGS] = everything
        for name, table in self._tables.items():
            if table.grad is not None and name in used:
                self.adams[name].step(table.grad, used[name].to(table.device), rates[name])
            table.grad = None
        return distance.item(), float("nan") if entropy is None else entropy.item()

    def losses(self, passages: Sequence[AlignedEncoding]) -> tuple[Tensor, Tensor | None]:
        """Distance and cross-entropy of a batch; see `step`."""
        device = self._embedding.base.device
        middle, last = self._teacher_states([passage.base for passage in passages])
        ids, mask = self._padded([passage.new for passage in passages])
        states = self._student(
            inputs_embeds=self._embedding(ids), attention_mask=mask, use_cache=False
        ).last_hidden_state
        distance = hidden_state_distance(middle, states, shared_boundaries(passages, self.first))
        if not self._output_weight:
            return distance, None
        before, labels = _predicted(passages)
        rows = self.first + len(self._tables[INPUT_EMBEDDINGS])
        known = last[tuple(before.to(device))]
        return distance, chunked_cross_entropy(known, self._head, labels.to(device), chunk_size(rows, device))

    @torch.no_grad()
    def _teacher_states(self, texts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, D) of the base on its own cut: at the depth of the student, and the last."""
        ids, mask = self._padded(texts)
        decoder = self._model.get_decoder() if self._output_weight else self._student
        with captured_outputs([self._teacher_layer]) as found:
            last = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return found[0], last

    def _padded(self, texts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        return with_prefix_token(texts, self._prefix_token, self._embedding.base.device)


def _predicted(passages: Sequence[AlignedEncoding]) -> tuple[Tensor, Tensor]:
    """Places (2, n) in the base cut after which a token of the new cut begins, and those tokens (n,)."""
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


def _sum_of_bits(tensor: Tensor) -> int:
    bits = tensor.view({2: torch.int16, 4: torch.int32}[tensor.dtype.itemsize])
    return sum(int(part.sum()) for part in bits.reshape(-1).split(_CHUNK_NUMBERS))


def _frozen(rows: Tensor) -> nn.Parameter:
    return nn.Parameter(rows.detach(), requires_grad=False)


def load_teacher(base: Path) -> Any:
    """The model in the folder `base`, frozen: bfloat16 on a GPU, float32 on a processor.

    Raises:
        CheckpointError: it cannot be loaded, or does not fit the memory.
    """
    device, dtype = inference_device()
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


def _too_large(base: Path) -> str:
    return (
        f"{base} does not fit the memory, and distilling runs it; take another --init, or a GPU that holds it"
    )
