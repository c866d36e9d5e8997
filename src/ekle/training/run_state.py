"""All that changes while a run goes on: what a checkpoint holds, and how it is read back.

    adapter/                what PEFT reads
    new_rows.safetensors
    optimizer.safetensors, optimizer.json
    random.safetensors      PyTorch's random state
    new_tokens.safetensors  how often each new token was read
    progress.json           the place in steps, text and time, and what the watches have seen

Whatever gets a state of its own during training belongs here, or a resumed run is another run.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainingArguments

from ekle.files import write_json
from ekle.model.checkpoint.adapter import load_adapter, save_adapter
from ekle.model.layers.new_rows import NewRows
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
from ekle.training.optimizers.make import rate_factor


@dataclass(frozen=True)
class RunSetup:
    """Everything that a run needs, made by the stage."""

    objective: Objective
    rows: NewRows
    new_tokens: NewTokens
    """Knows the rows as the extension made them, before any alignment."""
    batches: Batches
    held_out: HeldOut | None
    """None where the corpus holds nothing out."""
    settings: TrainingSettings
    sizes: StepBatch
    seed: int
    precision: torch.dtype
    """Of the frozen weights and of the products."""
    checkpoints: Checkpoints
    history: TrainingLog
    reporter: ProgressReporter
    record: dict[str, Any]
    """What a run must agree with to go on from a checkpoint; stands in each of them."""


class _Arguments(TrainingArguments):  # type: ignore[misc] # transformers ships no types
    """Where the objective lies is settled before the Trainer sees it."""

    @property
    def place_model_on_device(self) -> bool:
        """Never: what FSDP2 has spread cannot be moved as a whole."""
        return False


def trainer_arguments(setup: RunSetup, device: torch.device) -> TrainingArguments:
    """Settings of the Trainer; its own logging, saving and evaluating stay off."""
    settings = setup.settings
    chosen = _Arguments(
        output_dir=str(setup.checkpoints.folder),
        max_steps=settings.steps,
        per_device_train_batch_size=setup.sizes.batch_size,
        gradient_accumulation_steps=setup.sizes.accumulation,
        max_grad_norm=settings.gradient_clip,
        learning_rate=settings.learning_rate,
        seed=setup.seed,
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


@dataclass
class RunState:
    """The weights that learn, their optimiser, and the small states around them."""

    setup: RunSetup
    is_main_process: bool
    """Whether this process is the one that writes."""
    processes: int
    """How many there are."""
    optimizer: Optimizer
    passes: Passes
    meter: Meter
    early_stopping: EarlyStopping
    guard: Guard
    memory: LeakDetector
    step: int = 0
    """Steps done."""
    finished: bool = False
    """Whether nothing is left to be done but handing the weights over."""
    cursor: Cursor = field(default_factory=Cursor)
    schedule: LambdaLR | None = None

    @property
    def weights_bytes(self) -> int:
        """Bytes of all that learns."""
        learning = (p for p in self.setup.objective.parameters() if p.requires_grad)
        return sum(p.numel() * p.element_size() for p in learning)

    @property
    def state_bytes(self) -> int:
        """Bytes of the optimiser's state: two averages of each number that learns, at most."""
        return self.weights_bytes * (1 if self.setup.settings.state_precision == "bf16" else 2)

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder; for all processes (`ekle.model.distributed`), the first alone writes."""
        self.write_weights(folder)
        save_optimizer(self.optimizer, folder)
        if self.is_main_process:
            save_random_state(folder)
            self.setup.new_tokens.save(folder / "new_tokens.safetensors")
            write_json(folder / "progress.json", self._progress())

    def write_weights(self, folder: Path) -> None:
        """Fill a folder with the weights alone; as `write`."""
        save_adapter(self.setup.objective.language_model, folder / "adapter")
        self.setup.rows.save(folder / "new_rows.safetensors")

    def read(self, folder: Path) -> None:
        """Take everything from a checkpoint.

        Raises:
            CheckpointError: a piece is missing or damaged, or belongs to another run.
        """
        with intact(folder):
            load_adapter(self.setup.objective.language_model, folder / "adapter")
            self.setup.rows.load(folder / "new_rows.safetensors")
        progress = self.read_place(folder)
        load_random_state(folder)
        load_optimizer(self.optimizer, folder)
        assert self.schedule is not None
        self.schedule.load_state_dict(progress["schedule"])

    def read_place(self, folder: Path) -> dict[str, Any]:
        """Take what is no tensor that learns from a checkpoint; its `progress.json`. Raises as `read`."""
        progress = load_progress(folder)
        with intact(folder):
            self.step, self.finished = progress["step"], progress["finished"]
            self.cursor = Cursor(**progress["cursor"])
            self.early_stopping.load_state_dict(progress["watch"])
            self.meter.load_state_dict(progress["meter"], self.is_main_process)
            self.guard.load_state_dict(progress["guard"])
            self.passes.micro_batch_size = min(self.passes.micro_batch_size, progress["at_once"])
        self.setup.new_tokens.load(folder / "new_tokens.safetensors", self.is_main_process)
        return progress

    def rate_factor(self, step: int) -> float:
        """Share of the recipe's learning rates that step number `step` (from 0) uses."""
        settings = self.setup.settings
        return self.guard.rate * rate_factor(step, settings.steps, settings.warmup, settings.schedule)

    def set_rates(self) -> None:
        """Bring the learning rates of the next step up to date after the guard has lowered them."""
        assert self.schedule is not None
        factor = self.rate_factor(self.schedule.last_epoch)
        for group, base in zip(self.optimizer.param_groups, self.schedule.base_lrs, strict=True):
            group["lr"] = base * factor

    def roll_back(self, reason: str) -> int:
        """Take everything from the last checkpoint but the place in the text and the time that has passed.

        Where the run has made no checkpoint since it went back before, the one that it went back to may hold
        the fault: the one before that is taken, as far as they are kept. How far follows from the names of
        the checkpoints, so a run that is killed on the way comes to the same one.

        Returns:
            The step that the run was at.

        Raises:
            TrainingError: the run has gone back too often already.
            CheckpointError: as `read`.
        """
        checkpoints, before = self.setup.checkpoints, self.guard.returns
        self.guard.roll_back(self.step, reason)
        last = checkpoints.last()
        assert last is not None, "a run saves before its first step"
        folder = checkpoints.before(before - rollbacks_of(last))
        step, cursor, seconds = self.step, self.cursor, self.meter.all_seconds
        returns = self.guard.returns
        self.read(folder)
        self.guard.returns, self.guard.bad_steps = returns, 0
        self.set_rates()
        self.cursor, self.meter.all_seconds = cursor, seconds
        return step

    def gather(self, reduce: Reduce) -> None:
        """Bring together what each process counts by itself; all call it before one of them writes."""
        self.meter.gather(reduce, self.is_main_process)
        self.setup.new_tokens.gather(reduce, self.is_main_process)

    def _progress(self) -> dict[str, Any]:
        assert self.schedule is not None
        return {
            "step": self.step,
            "finished": self.finished,
            "cursor": self.cursor.as_json(),
            "watch": self.early_stopping.state_dict(),
            "meter": self.meter.state_dict(),
            "guard": self.guard.state_dict(),
            "at_once": self.passes.micro_batch_size,
            "sequences": self.setup.sizes.sequences,
            "schedule": self.schedule.state_dict(),
            "record": self.setup.record,
        }
