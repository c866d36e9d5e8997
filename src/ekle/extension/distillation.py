"""The losses of Token Distillation for one batch of passages, and what they tell the new rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ekle.bpe.two_cuts import TwoCuts
from ekle.model.first_layers import first_layers
from ekle.model.loss import chunk_size, chunked_cross_entropy
from ekle.model.row_adam import RowAdam
from ekle.model.rows import SplitEmbedding, SplitHead
from ekle.model.two_readings import behind_opening, caught, shared_boundaries
from ekle.model.weights import INPUT_ROWS, OUTPUT_ROWS

_AT_ONCE = 16_000_000  # numbers; a sum of integers copies them to 64 bits on a CPU


class Distiller:
    """A frozen base as teacher, its lower layers as student, and the new rows between them.

    Args:
        model: the base, on its device; its parameters must not require gradients.
        start: new rows (new tokens, width) in float32 by the name of their matrix; without `OUTPUT_ROWS` the
            model ties its head, and one row serves both ends.
        opening: id of a base token put before every passage. Models hang much of their attention on the first
            token, whatever it is; here it is the same in both cuts and counts for nothing.
        depth: layers after which hidden states are compared.
        output_weight: weight of the cross-entropy; 0 leaves output rows as they are.
    """

    def __init__(
        self, model: Any, start: Mapping[str, Tensor], opening: int, depth: int, output_weight: float
    ) -> None:
        self._model, self._opening, self._depth, self._output_weight = model, opening, depth, output_weight
        self._student = first_layers(model, depth)
        self._teacher_part = model.get_decoder().layers[depth - 1]
        rows, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        self.first = len(rows)
        tables = {name: nn.Parameter(table.to(rows.device, copy=True)) for name, table in start.items()}
        self._tables = tables
        self._embedding = SplitEmbedding(_frozen(rows), tables[INPUT_ROWS])
        self._head = SplitHead(_frozen(head), tables.get(OUTPUT_ROWS, tables[INPUT_ROWS]))
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
            "opening": self._opening,
            "depth": self._depth,
            "output_weight": self._output_weight,
            "base": base,
        }

    def step(self, passages: Sequence[TwoCuts], rates: Mapping[str, float]) -> tuple[float, float]:
        """Learn from a batch, with steps of the length `rates` by matrix.

        Returns:
            The squared distance of hidden states, as a share of their own square, and the cross-entropy of
            the next token in nats (nan where it is not asked for).
        """
        distance, entropy = self.losses(passages)
        loss = distance if entropy is None else distance + self._output_weight * entropy
        loss.backward()
        seen = torch.cat([torch.from_numpy(passage.new) for passage in passages])
        used = {INPUT_ROWS: torch.unique(seen[seen >= self.first] - self.first)}
        everything = torch.arange(len(self._tables[INPUT_ROWS]))
        if entropy is not None:  # the softmax reaches every row, also to hold it back
            used[OUTPUT_ROWS if OUTPUT_ROWS in self._tables else INPUT_ROWS] = everything
        for name, table in self._tables.items():
            if table.grad is not None and name in used:
                self.adams[name].step(table.grad, used[name].to(table.device), rates[name])
            table.grad = None
        return distance.item(), float("nan") if entropy is None else entropy.item()

    def losses(self, passages: Sequence[TwoCuts]) -> tuple[Tensor, Tensor | None]:
        """Distance and cross-entropy of a batch; see `step`."""
        device = self._embedding.base.device
        middle, last = self._teach([passage.base for passage in passages])
        ids, mask = self._padded([passage.new for passage in passages])
        states = self._student(
            inputs_embeds=self._embedding(ids), attention_mask=mask, use_cache=False
        ).last_hidden_state
        here, there = shared_boundaries(passages, self.first)
        wanted = middle[tuple(here.to(device))].float()
        given = states[tuple(there.to(device))].float()
        distance = (given - wanted).square().sum(dim=-1).mean() / wanted.square().sum(dim=-1).mean()
        if not self._output_weight:
            return distance, None
        before, labels = _predicted(passages)
        rows = self.first + len(self._tables[INPUT_ROWS])
        known = last[tuple(before.to(device))]
        return distance, chunked_cross_entropy(known, self._head, labels.to(device), chunk_size(rows, device))

    @torch.no_grad()
    def _teach(self, texts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, D) of the base on its own cut: at the depth of the student, and the last."""
        ids, mask = self._padded(texts)
        decoder = self._model.get_decoder() if self._output_weight else self._student
        with caught([self._teacher_part]) as found:
            last = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return found[0], last

    def _padded(self, texts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        return behind_opening(texts, self._opening, self._embedding.base.device)


def _predicted(passages: Sequence[TwoCuts]) -> tuple[Tensor, Tensor]:
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
    return sum(int(part.sum()) for part in bits.reshape(-1).split(_AT_ONCE))


def _frozen(rows: Tensor) -> nn.Parameter:
    return nn.Parameter(rows.detach(), requires_grad=False)
