"""The training loop: transformers' Trainer with our loss, optimiser, checkpoints and log.

When something is evaluated, saved and stopped is decided here and not by the Trainer. What happens in a
step is `ekle.training.steps`'; what a checkpoint holds is `ekle.training.run_state`'s, because resuming must
be exact.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback

from ekle.errors import TrainingError
from ekle.model.dora import refresh_norms
from ekle.progress import Task
from ekle.training.devices.processes import Processes
from ekle.training.devices.sharding import is_sharded
from ekle.training.optimizers.make import make_optimizer
from ekle.training.parts import Parts, trainer_arguments
from ekle.training.passes import Passes
from ekle.training.run_state import RunState
from ekle.training.steps import Steps
from ekle.training.watching.evaluating import evaluate
from ekle.training.watching.guard import Guard
from ekle.training.watching.memory import MemoryWatch
from ekle.training.watching.meter import Meter
from ekle.training.watching.patience import Watch
from ekle.training.watching.tracking import trackers


class ContinuedTraining(Trainer):  # type: ignore[misc] # transformers ships no types
    """Trains adapters and new rows; `run` is the one entry, the rest is for the Trainer."""

    def __init__(self, parts: Parts, processes: Processes) -> None:
        self.parts, self.processes = parts, processes
        # Or accelerate would wrap it in DDP, whose last pass of a step waits for the other processes.
        parts.objective._is_accelerate_prepared = True  # type: ignore[assignment]
        super().__init__(model=parts.objective, args=trainer_arguments(parts, processes.device))
        self.remove_callback(PrinterCallback)
        self.add_callback(_Hooks(self))
        backward = self.accelerator.backward
        passes = Passes(parts.objective, parts.sizes, parts.seed, backward, processes, parts.report)
        self.run_state = RunState(
            parts=parts,
            first=processes.is_main,
            processes=processes.count,
            optimizer=make_optimizer(parts.objective, parts.rows, parts.settings),
            passes=passes,
            meter=Meter(processes.device),
            watch=Watch(parts.settings.patience),
            guard=Guard(parts.settings.guard, parts.report),
            memory=MemoryWatch(processes.device, parts.settings.memory_lines),
        )
        self._steps = Steps(self.run_state, processes)
        self._samples: list[dict[str, Any]] = []
        self._place = 0
        self._resume: Path | None = None
        self._task: Task | None = None
        self._saved = time.monotonic()
        self._save_due = False

    def run(self, resume: Path | None) -> None:
        """Train until the last step, or until a better evaluation has been waited for long enough.

        Args:
            resume: a checkpoint folder to go on from.

        Raises:
            TrainingError: too many steps went wrong, memory leaks, or not even one sequence fits into it.
            SpaceError: the disk has no room for the next checkpoint.
            CheckpointError: `resume` is damaged.
        """
        self._resume = resume
        if resume is not None:
            self.run_state.read_place(resume)
            if self.run_state.finished:
                return
        elif self._may_try:
            self.run_state.passes.probe(later=self.run_state.state_bytes)
        if self.processes.is_main:
            self._track()
        left = self.parts.settings.steps - self.run_state.step
        with self.parts.report.task("training", total=left, unit="steps") as self._task:
            if resume is None and self.parts.held_out is not None:
                self.evaluate()
            self._saved = time.monotonic()
            self.train()
        if self._steps.leak:
            raise TrainingError(
                f"{self._steps.leak}: something leaks; stopped after saving step {self.run_state.step:,}, "
                "run again and it goes on from there in a fresh process"
            )

    @property
    def _may_try(self) -> bool:
        """Whether to find out how many sequences fit: on a GPU, by processes that do not go in step."""
        on_gpu = self.processes.device.type == "cuda"
        automatic = self.parts.settings.micro_batch_size == "auto"
        return on_gpu and automatic and not is_sharded(self.parts.objective)

    def _track(self) -> None:
        """Let the tracker of the recipe hear of every line of the log."""
        history = self.parts.history
        folder = history.path.parent / "tensorboard"
        for tracker in trackers(self.parts.settings.tracker, folder, self.run_state.step):
            self.add_callback(tracker)
        history.listener = lambda line: self.callback_handler.on_log(
            self.args, self.state, self.control, dict(line)
        )

    # What the Trainer asks for

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Our batches as they are; accelerate's own loader would read ahead of them."""
        # With a generator of its own, the loader leaves the global random state alone.
        return DataLoader(self.parts.batches, batch_size=None, generator=torch.Generator())

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Ours, over adapters and new rows; accelerate wraps it in another afterwards."""
        self.optimizer = self.run_state.optimizer
        return self.run_state.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule of the recipe, the same for all groups."""
        state = self.run_state
        self.lr_scheduler = state.schedule = LambdaLR(state.optimizer, state.rate_factor)
        return self.lr_scheduler

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[dict[str, Any]], None]:
        """Remember the batches of the step that begins. None: every batch has as many tokens."""
        self._samples, _ = super().get_batch_samples(*args, **kwargs)
        return self._samples, None

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward pass of one of the step's batches."""
        model.train()
        self._place += 1
        state = self.run_state
        return state.passes.learn(self._samples, self._place - 1, state.meter)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Held-out bits per byte; keeps the best weights and decides whether to stop."""
        self.control.should_evaluate = False
        state, watch = self.run_state, self.run_state.watch
        figures, better = evaluate(state, self.processes)
        if better and state.step > 0:
            self._save_due = True
            self.control.should_save |= state.guard.bad_steps == 0
        if watch.is_over and not self.control.should_training_stop:
            self.parts.report.say(f"none of the last {watch.waited} evaluations was better: stopping")
            self.control.should_training_stop = self.control.should_save = True
        return figures

    def begin(self) -> None:
        """Go on from a checkpoint, or make one: a full disk is found now, and there is a way back to here."""
        if self._resume is None:
            self._save_checkpoint(self.model, None)
            return
        self.run_state.read(self._resume)
        self.state.global_step = self.run_state.step

    def begin_step(self) -> None:
        """A step of the optimiser begins."""
        self._place = 0
        self._steps.begin(self._samples[0])

    def _clip_grad_norm(self, model: Any) -> Tensor:
        return self._steps.clip()

    def end_step(self) -> None:
        """A step of the optimiser is done: say what is due after it, unless it has led back."""
        state, settings, before = self.run_state, self.parts.settings, self.run_state.step
        note = self._steps.end(self._samples)
        assert self._task is not None
        self._task.advance(state.step - before, note)
        if state.step != self.state.global_step:
            self.state.global_step = state.step
            self.control.should_training_stop = False  # the Trainer may have seen the last step
            self._save_due = False
            return
        last = state.step >= settings.steps
        if self.parts.held_out is not None:
            self.control.should_evaluate = last or state.step % settings.evaluate_steps == 0
        late = self.processes.any(time.monotonic() - self._saved > 60 * settings.checkpoint_minutes)
        self._save_due |= late or state.step % settings.checkpoint_steps == 0
        # Weights whose steps go wrong are none to go back to: what is due waits for a good step.
        good = state.guard.bad_steps == 0
        self.control.should_save = last or (good and self._save_due)
        if self._steps.leak and good:
            self.control.should_save = self.control.should_training_stop = True

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._saved, self._save_due, state = time.monotonic(), False, self.run_state
        state.gather(self.processes.sum)
        state.finished = bool(self.control.should_training_stop) and not self._steps.leak
        size, best = state.weights_bytes + state.state_bytes, state.watch.best_step
        self.parts.checkpoints.save(state.step, state.write, size, best, state.guard.returns)


class _Hooks(TrainerCallback):  # type: ignore[misc] # transformers ships no types
    """Passes the Trainer's moments on."""

    def __init__(self, training: ContinuedTraining) -> None:
        self.training = training

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self.training.begin()

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.training.begin_step()

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        refresh_norms(self.training.parts.objective)

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.training.end_step()
