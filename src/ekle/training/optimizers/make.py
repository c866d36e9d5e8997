"""The optimiser over adapters and new rows, and the schedule of its learning rate."""

import math
from typing import Any, assert_never

import torch
from torch import nn

from ekle.model.layers.dora import adapted_layers
from ekle.model.layers.new_rows import NewRows
from ekle.recipe.training import Schedule, TrainingSettings
from ekle.training.optimizers.muon import MuonAndAdamW
from ekle.training.optimizers.sophia import Sophia
from ekle.training.shared_rows import SharedRows


def rate_factor(step: int, steps: int, warmup: float, schedule: Schedule) -> float:
    """Share of the full learning rate that step number `step` (from 0) of `steps` uses.

    It rises in equal stages over the first `warmup` share of the steps. The first step is not 0, and neither
    is the last of a schedule that falls to 0.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(steps - rising, 1)
    match schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "linear":
            return 1 - progress
        case "constant":
            return 1.0
        case _:
            assert_never(schedule)


def make_optimizer(
    model: nn.Module, rows: NewRows | SharedRows | None, settings: TrainingSettings
) -> torch.optim.Optimizer:
    """Sophia, AdamW or Muon over three groups with a `name`; over two for a model without new rows.

    `matrices` are A and B, and only they decay. `magnitudes` start at the norms of the base, so there is no
    reason to shrink them. `rows`, the new embedding rows, have their own learning rate. Decay would pull a
    row towards zero in the many steps that do not read its token. Rows that learn together are moved by
    their maps, which Muon takes.
    """
    layers = [layer for _, layer in adapted_layers(model)]
    matrices = [matrix for layer in layers for matrix in (layer.lora_a, layer.lora_b)]
    rate = settings.learning_rate
    groups: list[dict[str, Any]] = [
        {"name": "matrices", "params": matrices, "lr": rate, "weight_decay": settings.weight_decay},
        {"name": "magnitudes", "params": [layer.magnitude for layer in layers], "lr": rate},
    ]
    of_muon = groups[:1] if settings.optimizer == "muon" else []
    if rows is not None:
        learning = rows.maps if isinstance(rows, SharedRows) else list(rows.parameters())
        group = {"name": "rows", "params": learning, "lr": settings.rows_learning_rate or rate}
        groups.append(group)
        if isinstance(rows, SharedRows):
            of_muon.append({**group, "weight_decay": 0.0})
    match settings.optimizer:
        case "sophia":
            if rows is not None:
                groups[-1]["sparse"] = True
            return Sophia(
                groups,
                lr=rate,
                betas=settings.sophia.betas,
                rho=settings.sophia.rho,
                epsilon=settings.sophia.epsilon,
                bias_correction=settings.sophia.bias_correction,
                state_dtype=torch.bfloat16 if settings.state_precision == "bf16" else None,
            )
        case "adamw" if not of_muon:
            adamw = settings.adamw
            return torch.optim.AdamW(groups, betas=adamw.betas, eps=adamw.epsilon, weight_decay=0.0)
        case "adamw" | "muon":
            names = {group["name"] for group in of_muon}
            others = [group for group in groups if group["name"] not in names]
            return MuonAndAdamW(of_muon, others, settings.muon, settings.adamw)
        case _:
            assert_never(settings.optimizer)


def learning_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The learning rates that the next step uses, by their names in the training log."""
    rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
    rows = {"rows_learning_rate": rates["rows"]} if "rows" in rates else {}
    return {"learning_rate": rates["matrices"], **rows}
