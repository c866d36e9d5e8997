"""All that changes while a run goes on: what a checkpoint holds, and how it is read back.

    adapter/                what PEFT reads
    new_rows.safetensors
    optimizer.safetensors, optimizer.json
    random.safetensors      PyTorch's random state
    progress.json           the place in steps, text and time, and what the watches have seen

Whatever gets a state of its own during training belongs here, or a resumed run is another run.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ekle.files import write_json
from ekle.model.adapter import load_adapter, save_adapter
from ekle.training.checkpoints import (
    load_optimizer,
    load_progress,
    load_random_state,
    save_optimizer,
    save_random_state,
)
from ekle.training.guard import Guard
from ekle.training.meter import Meter
from ekle.training.packing import Cursor
from ekle.training.parts import Parts
from ekle.training.passes import Passes
from ekle.training.watch import Watch

WEIGHTS, WHOLE = 1, 3  # values a checkpoint holds for each that learns; both optimisers keep two besides


@dataclass
class RunState:
    """The weights that learn, their optimiser, and the small states around them."""

    parts: Parts
    optimizer: Optimizer
    passes: Passes
    meter: Meter
    watch: Watch
    guard: Guard
    step: int = 0
    """Steps done."""
    finished: bool = False
    """Whether nothing is left to be done but handing the weights over."""
    cursor: Cursor = field(default_factory=Cursor)
    schedule: LRScheduler | None = None

    def size(self, values: int) -> int:
        """Bytes that so many values of each learning parameter take."""
        learning = (p for p in self.parts.objective.parameters() if p.requires_grad)
        return values * sum(p.numel() * p.element_size() for p in learning)

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder."""
        self.write_weights(folder)
        save_optimizer(self.optimizer, folder)
        save_random_state(folder)
        write_json(folder / "progress.json", self._progress())

    def write_weights(self, folder: Path) -> None:
        """Fill a folder with the weights alone."""
        save_adapter(self.parts.objective.language_model, folder / "adapter")
        self.parts.rows.save(folder / "new_rows.safetensors")

    def read_weights(self, folder: Path) -> None:
        """Take weights and progress from a checkpoint.

        Raises:
            CheckpointError: a piece is missing or damaged.
        """
        load_adapter(self.parts.objective.language_model, folder / "adapter")
        self.parts.rows.load(folder / "new_rows.safetensors")
        self.read_progress(load_progress(folder))

    def read_optimizer(self, folder: Path) -> None:
        """Take optimiser and schedule from a checkpoint. Raises as `read_weights`."""
        load_optimizer(self.optimizer, folder)
        assert self.schedule is not None
        self.schedule.load_state_dict(load_progress(folder)["schedule"])

    def read_random(self, folder: Path) -> None:
        """Take the random state from a checkpoint. Raises as `read_weights`."""
        load_random_state(folder)

    def read_progress(self, progress: dict[str, Any]) -> None:
        """Take what `progress.json` holds."""
        self.step, self.finished = progress["step"], progress["finished"]
        self.cursor = Cursor(**progress["cursor"])
        self.watch.best, self.watch.best_step = progress["best"], progress["best_step"]
        self.watch.waited = progress["waited"]
        self.meter.all_seconds = progress["seconds"]
        self.guard.bad_steps = progress["bad_steps"]
        self.passes.at_once = min(self.passes.at_once, progress["at_once"])

    def _progress(self) -> dict[str, Any]:
        assert self.schedule is not None
        return {
            "step": self.step,
            "finished": self.finished,
            "cursor": self.cursor.as_json(),
            "seconds": self.meter.all_seconds,
            "best": self.watch.best,
            "best_step": self.watch.best_step,
            "waited": self.watch.waited,
            "bad_steps": self.guard.bad_steps,
            "at_once": self.passes.at_once,
            "schedule": self.schedule.state_dict(),
            "record": self.parts.record,
        }
