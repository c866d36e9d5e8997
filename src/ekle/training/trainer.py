"""The training loop: transformers' Trainer with our loss, optimiser, checkpoints and log.

What happens in a step, and when something is written, is decided here and not by the Trainer. What a
checkpoint holds is `ekle.training.run_state`'s, because resuming must be exact; what the log says is
`ekle.training.log_line`'s.
"""

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback

from ekle.errors import TrainingError
from ekle.model.dora import adapted_layers, refresh_norms
from ekle.page.training_line import brief
from ekle.progress import Task
from ekle.training.evaluating import evaluate
from ekle.training.guard import Guard
from ekle.training.log_line import LogLine
from ekle.training.memory import MemoryWatch
from ekle.training.meter import Meter
from ekle.training.optimizers import clip_gradients, drop_gradients, make_optimizer
from ekle.training.packing import Cursor
from ekle.training.parts import Parts, trainer_arguments
from ekle.training.passes import Passes
from ekle.training.processes import Processes
from ekle.training.run_state import RunState
from ekle.training.sharding import is_sharded
from ekle.training.sophia import Sophia
from ekle.training.tracking import trackers
from ekle.training.watch import Watch


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
        self._line = LogLine(self.run_state, processes.sum)
        self._samples: list[dict[str, Any]] = []
        self._place = 0
        self._resume: Path | None = None
        self._fault: str | None = None
        self._leak: str | None = None
        self._task: Task | None = None
        self._saved = time.monotonic()

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
        if self._leak:
            raise TrainingError(
                f"{self._leak}: something leaks; stopped after saving step {self.run_state.step:,}, "
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
        return state.passes.learn(model, self._samples, self._place - 1, state.meter)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Held-out bits per byte; keeps the best weights and decides whether to stop."""
        self.control.should_evaluate = False
        state, watch = self.run_state, self.run_state.watch
        figures, better = evaluate(state, self.processes)
        if better:
            self.control.should_save = state.step > 0
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

    # One step of the optimiser, from its beginning to its end

    def begin_step(self) -> None:
        """Start the clock; every k-th step, and when the adapters begin, estimate the curvature first."""
        state, every = self.run_state, self.parts.settings.sophia.hessian_every
        state.meter.begin_step()
        self._line.begin_step()
        self._place = 0
        is_due = state.step % every == 0 or state.step == self._rows_alone
        if isinstance(state.optimizer, Sophia) and is_due:
            model, batch = self.model_wrapped, self._samples[0]
            model.train()
            state.passes.estimate_curvature(model, batch, state.optimizer, self._resting())

    def _clip_grad_norm(self, model: Any) -> Tensor:
        """Clip; drop the gradients of a step that the guard would not have."""
        state = self.run_state
        state.passes.finish()
        drop_gradients(self._resting())
        norm = clip_gradients(self.parts.objective.parameters(), self.parts.settings.gradient_clip)
        self._line.see_gradient(norm)
        loss = state.meter.step_loss(self.processes.sum)
        self._fault = state.guard.why_skip(state.step + 1, loss, norm.item())
        if self._fault is not None:
            drop_gradients(self.parts.objective.parameters())
            self._write(state.step + 1, {"skipped": self._fault})
        return norm

    @property
    def _rows_alone(self) -> int:
        """Steps, at the start, in which only the new rows learn."""
        return math.ceil(self.parts.settings.rows_first * self.parts.settings.steps)

    def _resting(self) -> list[nn.Parameter]:
        """What does not learn in this step; an optimiser keeps no momentum and no curvature of it."""
        if self.run_state.step >= self._rows_alone:
            return []
        return [part for _, layer in adapted_layers(self.parts.objective) for part in layer.parameters()]

    def end_step(self) -> None:
        """Stop the clock, write the log, and say what is due after this step, unless it leads back."""
        state, settings = self.run_state, self.parts.settings
        state.step = step = int(self.state.global_step)
        state.meter.end_step(counts=self._fault is None)
        if self._fault is None:
            self.parts.new_tokens.count(batch["input_ids"] for batch in self._samples)
        state.cursor = Cursor(**self._samples[-1]["cursor"])
        assert self._task is not None
        if state.guard.must_go_back:
            self._go_back()
            return
        last = step >= settings.steps
        self._task.advance(1, self._log(step) if self._line.is_due(step) else "")
        if self.parts.held_out is not None:
            self.control.should_evaluate = last or step % settings.evaluate_steps == 0
        due = time.monotonic() - self._saved > 60 * settings.checkpoint_minutes
        self.control.should_save = last or step % settings.checkpoint_steps == 0 or self.processes.any(due)
        if self._leak:
            self.control.should_save = self.control.should_training_stop = True

    def _go_back(self) -> None:
        """Go on from the last checkpoint, more slowly and with other text; the log forgets the way there."""
        state, reason = self.run_state, str(self._fault)
        came_from = state.go_back(reason)
        self.state.global_step = state.step
        self.control.should_training_stop = False  # the Trainer may have seen the last step
        if self.processes.is_main:
            self.parts.history.cut(state.step)
        figures = {"went_back_from": came_from, "because": reason, "rate_factor": state.guard.rate}
        self._write(state.step + 1, figures)
        self.parts.report.say(
            f"back from step {came_from:,} to the checkpoint of step {state.step:,}, and on with "
            f"{state.guard.rate:g} times the learning rate",
            step=state.step,
        )
        assert self._task is not None
        self._task.advance(state.step + 1 - came_from)

    def _log(self, step: int) -> str:
        """Write one line; what of it belongs to the bar."""
        figures = self._line.figures()
        if "clipped_share" in figures and step > self.parts.settings.warmup * self.parts.settings.steps:
            self.run_state.guard.see_clipping(step, figures["clipped_share"])
        self._write(step, figures)
        leak = self.run_state.memory.leak(self.parts.settings.steps - step, self.parts.report)
        if self.processes.any(leak is not None):
            self._leak = leak or "memory grows in another process"
        return brief(figures)

    def _write(self, step: int, figures: dict[str, Any]) -> None:
        if self.processes.is_main:
            self.parts.history.append({"step": step, **figures})

    # Saving

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._saved, state = time.monotonic(), self.run_state
        state.gather(self.processes.sum)
        state.finished = bool(self.control.should_training_stop) and not self._leak
        size, best = state.weights_bytes + state.state_bytes, state.watch.best_step
        self.parts.checkpoints.save(state.step, state.write, size, best)


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
