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

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ekle.files import write_json
from ekle.model.adapter import load_adapter, save_adapter
from ekle.training.checkpoints import (
    intact,
    load_optimizer,
    load_progress,
    load_random_state,
    returns_of,
    save_optimizer,
    save_random_state,
)
from ekle.training.optimizers.schedule import rate_factor
from ekle.training.parts import Parts
from ekle.training.passes import Passes
from ekle.training.text.packing import Cursor
from ekle.training.watching.guard import Guard
from ekle.training.watching.memory import MemoryWatch
from ekle.training.watching.meter import Meter, Reduce
from ekle.training.watching.patience import Watch


@dataclass
class RunState:
    """The weights that learn, their optimiser, and the small states around them."""

    parts: Parts
    first: bool
    """Whether this process is the one that writes."""
    processes: int
    """How many there are."""
    optimizer: Optimizer
    passes: Passes
    meter: Meter
    watch: Watch
    guard: Guard
    memory: MemoryWatch
    step: int = 0
    """Steps done."""
    finished: bool = False
    """Whether nothing is left to be done but handing the weights over."""
    cursor: Cursor = field(default_factory=Cursor)
    schedule: LambdaLR | None = None

    @property
    def weights_bytes(self) -> int:
        """Bytes of all that learns."""
        learning = (p for p in self.parts.objective.parameters() if p.requires_grad)
        return sum(p.numel() * p.element_size() for p in learning)

    @property
    def state_bytes(self) -> int:
        """Bytes of the optimiser's state: two averages of each number that learns, at most."""
        return self.weights_bytes * (1 if self.parts.settings.state_precision == "bf16" else 2)

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder; for all processes (`ekle.model.spread`), the first alone writes."""
        self.write_weights(folder)
        save_optimizer(self.optimizer, folder)
        if self.first:
            save_random_state(folder)
            self.parts.new_tokens.save(folder / "new_tokens.safetensors")
            write_json(folder / "progress.json", self._progress())

    def write_weights(self, folder: Path) -> None:
        """Fill a folder with the weights alone; as `write`."""
        save_adapter(self.parts.objective.language_model, folder / "adapter")
        self.parts.rows.save(folder / "new_rows.safetensors")

    def read(self, folder: Path) -> None:
        """Take everything from a checkpoint.

        Raises:
            CheckpointError: a piece is missing or damaged, or belongs to another run.
        """
        with intact(folder):
            load_adapter(self.parts.objective.language_model, folder / "adapter")
            self.parts.rows.load(folder / "new_rows.safetensors")
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
            self.watch.load_state_dict(progress["watch"])
            self.meter.load_state_dict(progress["meter"], self.first)
            self.guard.load_state_dict(progress["guard"])
            self.passes.at_once = min(self.passes.at_once, progress["at_once"])
        self.parts.new_tokens.load(folder / "new_tokens.safetensors", self.first)
        return progress

    def rate_factor(self, step: int) -> float:
        """Share of the recipe's learning rates that step number `step` (from 0) uses."""
        settings = self.parts.settings
        return self.guard.rate * rate_factor(step, settings.steps, settings.warmup, settings.schedule)

    def set_rates(self) -> None:
        """Bring the learning rates of the next step up to date after the guard has lowered them."""
        assert self.schedule is not None
        factor = self.rate_factor(self.schedule.last_epoch)
        for group, base in zip(self.optimizer.param_groups, self.schedule.base_lrs, strict=True):
            group["lr"] = base * factor

    def go_back(self, reason: str) -> int:
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
        checkpoints, before = self.parts.checkpoints, self.guard.returns
        self.guard.go_back(self.step, reason)
        last = checkpoints.last()
        assert last is not None, "a run saves before its first step"
        folder = checkpoints.before(before - returns_of(last))
        step, cursor, seconds = self.step, self.cursor, self.meter.all_seconds
        returns = self.guard.returns
        self.read(folder)
        self.guard.returns, self.guard.bad_steps = returns, 0
        self.set_rates()
        self.cursor, self.meter.all_seconds = cursor, seconds
        return step

    def gather(self, reduce: Reduce) -> None:
        """Bring together what each process counts by itself; all call it before one of them writes."""
        self.meter.gather(reduce, self.first)
        self.parts.new_tokens.gather(reduce, self.first)

    def _progress(self) -> dict[str, Any]:
        assert self.schedule is not None
        return {
            "step": self.step,
            "finished": self.finished,
            "cursor": self.cursor.as_json(),
            "watch": self.watch.state_dict(),
            "meter": self.meter.state_dict(),
            "guard": self.guard.state_dict(),
            "at_once": self.passes.at_once,
            "sequences": self.parts.sizes.sequences,
            "schedule": self.schedule.state_dict(),
            "record": self.parts.record,
        }
