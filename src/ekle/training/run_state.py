"""All that changes while a run goes on: what a checkpoint holds, and how it is read back.

    adapter/                what PEFT reads
    new_rows.safetensors    of an extended model
    optimizer.safetensors, optimizer.json
    random.safetensors      PyTorch's random state
    new_tokens.safetensors  how often each new token was read; of an extended model
    progress.json           the place in steps, text and time, and the state of all that monitors

Whatever changes during training belongs here. Otherwise a resumed run would be another run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ekle.files import write_json
from ekle.model.checkpoint.adapter import load_adapter, save_adapter
from ekle.model.distributed import is_main_process
from ekle.model.layers.new_rows import NewRows
from ekle.model.processes import Processes
from ekle.planning.flops import TrainingCost
from ekle.progress import ProgressReporter
from ekle.recipe.training import TrainingSettings
from ekle.training.checkpoints import (
    Checkpoints,
    intact,
    load_optimizer,
    load_progress,
    load_random_state,
    rollbacks_of,
    save_optimizer,
    save_random_state,
)
from ekle.training.data.packing import Batches, Cursor
from ekle.training.micro_batches import Passes, StepBatch
from ekle.training.monitoring.guard import Guard
from ekle.training.monitoring.held_out import EarlyStopping, HeldOut
from ekle.training.monitoring.memory_leak import LeakDetector
from ekle.training.monitoring.meter import Meter, Reduce
from ekle.training.monitoring.new_tokens import NewTokens
from ekle.training.monitoring.training_log import TrainingLog
from ekle.training.objective import Objective
from ekle.training.optimizers.make import make_optimizer, rate_factor
from ekle.training.shared_rows import SharedRows


@dataclass(frozen=True)
class RunSetup:
    """What a run is made of and does not change, made by the stage."""

    objective: Objective
    rows: NewRows | None
    """None if the model is the base."""
    row_features: Sequence[Tensor]
    """Of the new rows, where they learn together (`ekle.training.shared_rows`); none where they do not."""
    new_tokens: NewTokens | None
    """Started from the rows that the extension made, before any alignment; None if the model is the base."""
    batches: Batches
    held_out: HeldOut | None
    """None if the corpus holds nothing out."""
    settings: TrainingSettings
    sizes: StepBatch
    micro_batch_size: int
    """Sequences in one pass, by plan; fewer as soon as memory runs out."""
    seed: int
    precision: torch.dtype
    """Of frozen weights and matrix products."""
    checkpoints: Checkpoints
    history: TrainingLog
    reporter: ProgressReporter
    cost: TrainingCost | None
    """Operations, to compare with another training; None for a kind of model whose are not counted."""
    record: dict[str, Any]
    """The settings on which the weights depend; a run resumes only from a checkpoint with the same."""


class RunState:
    """The weights that learn, their optimiser, and the small states around them.

    Args:
        setup: what the run is made of; its objective is already on its device.
        processes: who takes part.
    """

    def __init__(self, setup: RunSetup, processes: Processes) -> None:
        self.setup, self.processes = setup, processes
        settings, reporter = setup.settings, setup.reporter
        self.step = 0
        """Steps done."""
        self.finished = False
        """Whether nothing is left to do but to hand the weights over."""
        self.cursor = Cursor()
        self.guard = Guard(settings.guard, reporter)
        self.early_stopping = EarlyStopping(settings.patience)
        self.meter = Meter(processes.device)
        self.leak_detector = LeakDetector(processes.device, settings.memory_lines)
        self.passes = Passes(setup.objective, setup.sizes, setup.seed, processes, reporter)
        self.passes.micro_batch_size = setup.micro_batch_size
        self.shared_rows: SharedRows | None = None
        """None where each new row learns by itself, or there is none."""
        if setup.rows is not None and setup.row_features:
            self.shared_rows = SharedRows(setup.rows, setup.row_features, processes)
        self.optimizer = make_optimizer(setup.objective, self.shared_rows or setup.rows, settings)
        self.schedule = LambdaLR(self.optimizer, self.rate_factor)

    def learning(self) -> list[nn.Parameter]:
        """The model's parameters, and the maps of rows that learn together: all that gets gradients."""
        maps = self.shared_rows.maps if self.shared_rows is not None else []
        return [*self.setup.objective.parameters(), *maps]

    def weights_by_group(self) -> dict[str, list[nn.Parameter]]:
        """The weights that each group of the optimiser moves, by its name."""
        groups = {group["name"]: list(group["params"]) for group in self.optimizer.param_groups}
        return groups | ({"rows": list(self.setup.rows.parameters())} if self.setup.rows is not None else {})

    @property
    def weights_bytes(self) -> int:
        """Bytes of the weights that learn."""
        learning = (p for p in self.setup.objective.parameters() if p.requires_grad)
        return sum(p.numel() * p.element_size() for p in learning)

    @property
    def state_bytes(self) -> int:
        """Bytes of the optimiser's state, at most: two averages per number that learns."""
        return self.weights_bytes * (1 if self.setup.settings.state_precision == "bf16" else 2)

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder; for all processes (`ekle.model.distributed`), the main one writes."""
        self.write_weights(folder)
        save_optimizer(self.optimizer, folder)
        if is_main_process():
            save_random_state(folder)
            if self.setup.new_tokens is not None:
                self.setup.new_tokens.save(folder / "new_tokens.safetensors")
            write_json(folder / "progress.json", self._progress())

    def write_weights(self, folder: Path) -> None:
        """Fill a folder with the weights alone; as `write`."""
        save_adapter(self.setup.objective.language_model, folder / "adapter")
        if self.setup.rows is not None:
            self.setup.rows.save(folder / "new_rows.safetensors")

    def read(self, folder: Path) -> None:
        """Take everything from a checkpoint.

        Raises:
            CheckpointError: a file is missing or damaged, or belongs to another run.
        """
        with intact(folder):
            load_adapter(self.setup.objective.language_model, folder / "adapter")
            if self.setup.rows is not None:
                self.setup.rows.load(folder / "new_rows.safetensors")
        progress = self.read_place(folder)
        load_random_state(folder)
        load_optimizer(self.optimizer, folder)
        self.schedule.load_state_dict(progress["schedule"])

    def read_place(self, folder: Path) -> dict[str, Any]:
        """Take all but weights, optimiser and random state; returns `progress.json`. Raises as `read`."""
        progress = load_progress(folder)
        with intact(folder):
            self.step, self.finished = progress["step"], progress["finished"]
            self.cursor = Cursor(**progress["cursor"])
            self.early_stopping.load_state_dict(progress["watch"])
            self.meter.load_state_dict({"all_steps": self.step, **progress["meter"]})
            self.guard.load_state_dict(progress["guard"])
            fitted = progress[
                "micro_batch_size" if "micro_batch_size" in progress else "at_once"
            ]  # as in 0.1
            self.passes.micro_batch_size = min(self.passes.micro_batch_size, fitted)
        if self.setup.new_tokens is not None:
            self.setup.new_tokens.load(folder / "new_tokens.safetensors")
        return progress

    def spent(self, reduce: Reduce) -> dict[str, float]:
        """What it took so far: `flops`, and `text_bytes` learned from; `reduce` sums over all processes.

        What is not known is left out.
        """
        text_bytes, cost = self.meter.text_bytes(reduce), self.setup.cost
        found = {"flops": cost.after(self.meter.all_steps)} if cost is not None else {}
        return found | ({"text_bytes": text_bytes} if text_bytes is not None else {})

    def rate_factor(self, step: int) -> float:
        """Factor of the recipe's learning rates that step number `step` (from 0) uses."""
        settings = self.setup.settings
        return self.guard.rate * rate_factor(step, settings.steps, settings.warmup, settings.schedule)

    def set_rates(self) -> None:
        """Set the learning rates of the next step, after the guard has lowered them."""
        factor = self.rate_factor(self.schedule.last_epoch)
        for group, base in zip(self.optimizer.param_groups, self.schedule.base_lrs, strict=True):
            group["lr"] = base * factor

    def roll_back(self, reason: str) -> int:
        """Take everything from the last checkpoint, except the place in the text and the time passed.

        If the run has made no checkpoint since the rollback before, that one's checkpoint may have the fault
        in it. Then the one before it is taken, as far as they are kept. How far follows from the names of the
        checkpoints, so a run that is killed meanwhile comes to the same one.

        Args:
            reason: the fault of the last step.

        Returns:
            The step that the run was at.

        Raises:
            TrainingError: the run has rolled back too often already.
            CheckpointError: as `read`.
        """
        checkpoints, before = self.setup.checkpoints, self.guard.rollbacks
        self.guard.roll_back(self.step, reason)
        last = checkpoints.last()
        assert last is not None, "a run saves before its first step"
        folder = checkpoints.before(before - rollbacks_of(last))
        step, cursor = self.step, self.cursor
        seconds, steps = self.meter.all_seconds, self.meter.all_steps
        rollbacks = self.guard.rollbacks
        self.read(folder)
        self.guard.rollbacks, self.guard.bad_steps = rollbacks, 0
        self.set_rates()
        self.cursor = cursor
        self.meter.all_seconds, self.meter.all_steps = seconds, steps
        return step

    def save(self) -> None:
        """Write a checkpoint of this step; for all processes.

        Raises:
            SpaceError: the disk has no room for it; the earlier checkpoints stay.
        """
        # What each process counts by itself comes together in the main one, which writes it.
        self.meter.gather(self.processes.sum)
        if self.setup.new_tokens is not None:
            self.setup.new_tokens.gather(self.processes.sum)
        size, best_step = self.weights_bytes + self.state_bytes, self.early_stopping.best_step
        self.setup.checkpoints.save(self.step, self.write, size, best_step, self.guard.rollbacks)

    def _progress(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "finished": self.finished,
            "cursor": self.cursor.as_json(),
            "watch": self.early_stopping.state_dict(),
            "meter": self.meter.state_dict(),
            "guard": self.guard.state_dict(),
            "micro_batch_size": self.passes.micro_batch_size,
            "sequences": self.setup.sizes.sequences,
            "schedule": self.schedule.state_dict(),
            "alignment_flops": self.setup.cost.alignment if self.setup.cost else 0.0,
            "record": self.setup.record,
        }
