"""What a training run is made of, and what transformers' Trainer is told about it."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainingArguments

from ekle.model.rows import NewRows
from ekle.progress import Report
from ekle.recipe.training import Training
from ekle.training.checkpoints import Checkpoints
from ekle.training.objective import Objective
from ekle.training.step_batch import StepBatch
from ekle.training.text.packing import Batches
from ekle.training.watching.held_out import HeldOut
from ekle.training.watching.history import History
from ekle.training.watching.new_tokens import NewTokens


@dataclass(frozen=True)
class Parts:
    """Everything that a run needs, made by the stage."""

    objective: Objective
    rows: NewRows
    new_tokens: NewTokens
    """Knows the rows as the extension made them, before any alignment."""
    batches: Batches
    held_out: HeldOut | None
    """None where the corpus holds nothing out."""
    settings: Training
    sizes: StepBatch
    seed: int
    precision: torch.dtype
    """Of the frozen weights and of the products."""
    checkpoints: Checkpoints
    history: History
    report: Report
    record: dict[str, Any]
    """What a run must agree with to go on from a checkpoint; stands in each of them."""


class _Arguments(TrainingArguments):  # type: ignore[misc] # transformers ships no types
    """Where the objective lies is settled before the Trainer sees it."""

    @property
    def place_model_on_device(self) -> bool:
        """Never: what FSDP2 has spread cannot be moved as a whole."""
        return False


def trainer_arguments(parts: Parts, device: torch.device) -> TrainingArguments:
    """Settings of the Trainer; its own logging, saving and evaluating stay off."""
    settings = parts.settings
    chosen = _Arguments(
        output_dir=str(parts.checkpoints.folder),
        max_steps=settings.steps,
        per_device_train_batch_size=parts.sizes.batch_size,
        gradient_accumulation_steps=parts.sizes.accumulation,
        max_grad_norm=settings.gradient_clip,
        learning_rate=settings.learning_rate,
        seed=parts.seed,
        use_cpu=device.type == "cpu",
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        logging_nan_inf_filter=False,
    )
    chosen._n_gpu = min(chosen.n_gpu, 1)  # a process drives one GPU; torchrun starts one for each
    return chosen
