"""The embedding rows of new tokens as parameters of their own, separate from the frozen rows of the base.

The two embedding matrices of an extended Qwen3-8B have 1.4 billion parameters, of which 12 % are new. With
the matrices split, the optimiser sees only the new ones, and no forward pass joins or copies the matrices.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from ekle.errors import CheckpointError
from ekle.model.distributed import copy_full_tensor, save_full_tensors


class SplitRows(nn.Module):
    """One embedding matrix: the frozen `base` rows (F, D) and the trainable `new` rows (V - F, D)."""

    def __init__(self, base: nn.Parameter, new: nn.Parameter) -> None:
        super().__init__()
        self.base = base
        self.new = new

    @property
    def blocks(self) -> tuple[Tensor, Tensor]:
        """Both matrices in the order of their ids, as `ekle.model.layers.loss` reads them."""
        return self.base, self.new

    @property
    def weight(self) -> Tensor:
        """All rows (V, D) as one tensor: a copy, for inspection and export, never for a forward pass."""
        return torch.cat([self.base, self.new.to(self.base.dtype)])


class SplitEmbedding(SplitRows):
    """Input embeddings; replaces `nn.Embedding`."""

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of `ids` (...), shape (..., D), in the precision of the base rows."""
        first = len(self.base)
        old = functional.embedding(ids.clamp(max=first - 1), self.base)
        new = functional.embedding((ids - first).clamp(min=0), self.new).to(old.dtype)
        return torch.where((ids >= first).unsqueeze(-1), new, old)


class SplitHead(SplitRows):
    """Output embeddings; replaces the output `nn.Linear`."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits (..., V) of hidden states (..., D)."""
        products = [functional.linear(hidden, block.to(hidden.dtype)) for block in self.blocks]
        return torch.cat(products, dim=-1)


@dataclass(frozen=True)
class NewRows:
    """The new rows of a model; `output` is `input` where they are tied."""

    input: nn.Parameter
    output: nn.Parameter
    first_new_id: int

    @property
    def tied(self) -> bool:
        """Whether input and output embeddings are one matrix."""
        return self.output is self.input

    def parameters(self) -> Iterator[nn.Parameter]:
        """Each matrix once."""
        yield self.input
        if not self.tied:
            yield self.output

    def save(self, path: Path) -> None:
        """Write the rows as safetensors: `input`, and `output` where it is another matrix.

        Collective (`ekle.model.distributed`); the main process alone writes.
        """
        save_full_tensors(self._named(), path, {"first_new_id": str(self.first_new_id)})

    @torch.no_grad()
    def load(self, path: Path) -> None:
        """Read rows that `save` wrote.

        Raises:
            CheckpointError: the file is missing or damaged, or holds rows for another vocabulary.
        """
        stored = read_new_rows(path)
        expected = self._named()
        shapes = {name: tuple(tensor.shape) for name, tensor in stored.tensors.items()}
        if shapes != {name: tuple(rows.shape) for name, rows in expected.items()}:
            raise CheckpointError(
                f"{path} holds {shapes}, but the model's new rows are {tuple(self.input.shape)}"
                f"{' and tied' if self.tied else ''}; it belongs to another vocabulary or model"
            )
        for name, rows in expected.items():
            copy_full_tensor(rows, stored.tensors[name])

    def _named(self) -> dict[str, nn.Parameter]:
        return {"input": self.input} if self.tied else {"input": self.input, "output": self.output}


@dataclass(frozen=True)
class StoredNewRows:
    """The content of a file of new rows: `input`, and `output` where they are not tied."""

    tensors: dict[str, Tensor]
    first_new_id: int


def read_new_rows(path: Path) -> StoredNewRows:
    """Read a file that `NewRows.save` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or has other content.
    """
    try:
        with safe_open(path, framework="pt") as handle:
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - no iterator
            first = int((handle.metadata() or {})["first_new_id"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is missing or is no file of new rows: {error}") from error
    return StoredNewRows(tensors, first)


def split_rows(model: Any, first_new_id: int, dtype: torch.dtype = torch.float32) -> NewRows:
    """Split the embeddings of `model` into frozen base rows and trainable new rows, in place.

    Args:
        model: a causal language model of transformers, tied or untied.
        first_new_id: id of the first new row; the rows below it are frozen.
        dtype: precision of the new rows.

    Raises:
        CheckpointError: the model has no row at `first_new_id`.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows = embedding.weight.shape[0]
    if not 0 < first_new_id < rows:
        raise CheckpointError(
            f"the model has {rows:,} embedding rows and none at id {first_new_id:,} to train"
        )
    tied = head.weight is embedding.weight
    split_embedding = SplitEmbedding(*_split(embedding.weight, first_new_id, dtype))
    if tied:
        split_head = SplitHead(split_embedding.base, split_embedding.new)
    else:
        split_head = SplitHead(*_split(head.weight, first_new_id, dtype))
    model.set_input_embeddings(split_embedding)
    model.set_output_embeddings(split_head)
    return new_rows(model)


def new_rows(model: Any) -> NewRows:
    """The new rows of a model with split rows. Ask again after sharding, which replaces the parameters."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    return NewRows(embedding.new, head.new, len(embedding.base))


def _split(weight: Tensor, first: int, dtype: torch.dtype) -> tuple[nn.Parameter, nn.Parameter]:
    """The rows below `first` as a frozen view, the others as a trainable copy."""
    base = nn.Parameter(weight.detach()[:first], requires_grad=False)
    return base, nn.Parameter(weight.detach()[first:].to(dtype, copy=True))


class RowAdam:
    """Adam (Kingma and Ba 2015) that updates only the rows which a step uses.

    Plain Adam goes on updating a row long after its token was seen. Its first update of a row that is used
    late is three times too large, because the bias is corrected for the steps of the run and not of the row.
    Here every row counts its own steps.

    Args:
        rows: (n, width) in float32, changed in place.
        betas: decay rates of the two averages.
    """

    def __init__(self, rows: Tensor, betas: tuple[float, float] = (0.9, 0.95)) -> None:
        self._rows, self._betas = rows, betas
        self.state = {
            "first": torch.zeros_like(rows),
            "second": torch.zeros_like(rows),
            "steps": torch.zeros(len(rows), 1, device=rows.device),
        }

    @torch.no_grad()
    def step(self, gradient: Tensor, used: Tensor, rate: float) -> None:
        """Update the rows `used` (k,), each given once, against `gradient` (n, width) by about `rate`."""
        beta1, beta2 = self._betas
        used_gradient = gradient[used]
        first = self.state["first"][used].lerp_(used_gradient, 1 - beta1)
        second = self.state["second"][used].lerp_(used_gradient.square(), 1 - beta2)
        steps = self.state["steps"][used] + 1
        self.state["first"][used], self.state["second"][used], self.state["steps"][used] = (
            first,
            second,
            steps,
        )
        denominator = (second / (1 - beta2**steps)).sqrt_().add_(1e-12)
        self._rows[used] -= rate * first / (1 - beta1**steps) / denominator
