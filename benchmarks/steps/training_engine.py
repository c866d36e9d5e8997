"""ekle's training step on a model with random weights, or on one in a folder: passes, optimiser, norms.

Left out is everything around a step: text, evaluations, checkpoints, the log.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from ekle.model.checkpoint.loading import load_model
from ekle.model.layers.activation_checkpointing import enable_activation_checkpointing
from ekle.model.layers.dora import attach, refresh_norms
from ekle.model.layers.new_rows import NewRows, split_rows
from ekle.model.processes import Processes
from ekle.planning.case import Case
from ekle.planning.memory import EVALUATION, persistent, phases, total
from ekle.planning.shapes import ModelShape
from ekle.progress import silent
from ekle.recipe.training import TrainingSettings
from ekle.training.micro_batches import Passes, clip_gradients, drop_gradients, split_step
from ekle.training.monitoring.meter import Meter
from ekle.training.objective import Objective
from ekle.training.optimizers.make import make_optimizer
from ekle.training.optimizers.sophia import Sophia


@dataclass
class Engine:
    """A model under training; `step` is one step of the optimiser."""

    objective: Objective
    settings: TrainingSettings
    optimizer: torch.optim.Optimizer
    passes: Passes
    batches: list[dict[str, Any]]
    device: torch.device
    steps: int = 0

    def step(self) -> None:
        """Curvature if it is due, all batches, clipping, the optimiser, the norms."""
        self.objective.train()
        if isinstance(self.optimizer, Sophia) and self.steps % self.settings.sophia.hessian_every == 0:
            self.passes.estimate_curvature(self.batches[0], self.optimizer)
        meter = Meter(self.device)
        for place in range(len(self.batches)):
            self.passes.accumulate(self.batches, place, meter)
        self.passes.finish()
        clip_gradients(self.objective.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        refresh_norms(self.objective)
        drop_gradients(self.objective.parameters())
        self.steps += 1

    @property
    def tensors(self) -> list[Tensor]:
        """Parameters and buffers."""
        return [*self.objective.parameters(), *self.objective.buffers()]


class _SingleProcess(Processes):
    """One process, which need not agree with others: tensors without memory have no values to agree on."""

    def minimum(self, number: int) -> int:
        return number


def planned_bytes(case: Case) -> int:
    """Bytes of tensors in a step according to the plan, without evaluations."""
    return total(persistent(case)) + max(phase.bytes for phase in phases(case) if phase.name != EVALUATION)


def make_model(
    shape: ModelShape, new_rows: int, dtype: torch.dtype, device: torch.device, base: Path | None = None
) -> Any:
    """A frozen model with `new_rows` random embedding rows more than its base.

    Its base is the model in the folder `base`, or without one a Qwen3 of `shape` with random weights.
    """
    if base is not None:
        model = load_model(base, dtype)
        model.resize_token_embeddings(shape.rows + new_rows, mean_resizing=False)
        return model.to(device).requires_grad_(False)
    extended = replace(shape, rows=shape.rows + new_rows)
    config = Qwen3Config(**extended.config, max_position_embeddings=40960)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            return Qwen3ForCausalLM(config).requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


def make_engine(
    shape: ModelShape,
    new_rows: int,
    settings: TrainingSettings,
    micro_batch: int,
    dtype: torch.dtype,
    device: torch.device,
    base: Path | None = None,
) -> Engine:
    """The parts as the training stage combines them, with documents of half a sequence."""
    model = make_model(shape, new_rows, dtype, device, base)
    rows = _split(model, shape.rows)
    attach(model, settings.dora, generator=torch.Generator().manual_seed(0))
    if settings.activation_checkpointing:
        enable_activation_checkpointing(model)
    lengths = torch.ones(shape.rows + new_rows, dtype=torch.long, device=device)
    objective = Objective(model, settings.neftune, lengths)
    optimizer = make_optimizer(objective, rows, settings)
    alone = _SingleProcess(0, 1, device)
    passes = Passes(objective, split_step(settings, 1, None), 0, alone, silent())
    passes.micro_batch_size = micro_batch
    batches = [_batch(shape.rows + new_rows, settings) for _ in range(settings.gradient_accumulation)]
    return Engine(objective, settings, optimizer, passes, batches, device)


def _split(model: Any, first_new_id: int) -> NewRows:
    """Split off the new rows, and copy the base rows into memory of their own, as a move to a GPU does."""
    rows = split_rows(model, first_new_id)
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    for end in ends[: 1 if rows.tied else 2]:
        end.base.data = end.base.data.clone()
    return rows


def _batch(rows: int, settings: TrainingSettings) -> dict[str, Any]:
    length = settings.sequence_length
    ids = torch.randint(0, rows, (settings.batch_size, length + 1))
    positions = torch.arange(length) % max(length // 2, 1)
    return {
        "input_ids": ids[:, :-1].contiguous(),
        "labels": ids[:, 1:].contiguous(),
        "position_ids": positions.repeat(settings.batch_size, 1),
        "numbers": range(settings.batch_size),
        "learned": [length] * settings.batch_size,
    }
