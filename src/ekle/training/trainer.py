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
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback

from ekle.model.dora import adapted_layers, refresh_norms
from ekle.progress import Task
from ekle.training.checkpoints import load_progress
from ekle.training.evaluating import evaluate
from ekle.training.guard import Guard
from ekle.training.log_line import LogLine, note
from ekle.training.meter import Meter
from ekle.training.optimizers import drop_gradients, make_optimizer
from ekle.training.packing import Cursor
from ekle.training.parts import Parts, trainer_arguments
from ekle.training.passes import Passes
from ekle.training.processes import Processes
from ekle.training.run_state import WEIGHTS, WHOLE, RunState
from ekle.training.schedule import rate_factor
from ekle.training.sophia import Sophia
from ekle.training.watch import Watch


class ContinuedTraining(Trainer):  # type: ignore[misc] # transformers ships no types
    """Trains adapters and new rows; `run` is the one entry, the rest is for the Trainer."""

    def __init__(self, parts: Parts, device: torch.device) -> None:
        self.parts = parts
        super().__init__(model=parts.objective, args=trainer_arguments(parts, device))
        self.remove_callback(PrinterCallback)
        self.add_callback(_Hooks(self))
        self.processes = Processes(self.accelerator)
        process = (self.args.process_index, self.args.world_size)
        backward = self.accelerator.backward
        passes = Passes(
            parts.objective,
            parts.settings,
            parts.seed,
            device,
            backward,
            process,
            parts.report,
            self.processes.least,
        )
        self.run_state = RunState(
            parts=parts,
            optimizer=make_optimizer(parts.objective, parts.rows, parts.settings),
            passes=passes,
            meter=Meter(device),
            watch=Watch(parts.settings.patience),
            guard=Guard(parts.report),
        )
        self._line = LogLine(self.run_state, self.processes.sum)
        self._samples: list[dict[str, Any]] = []
        self._place = 0
        self._task: Task | None = None
        self._saved = time.monotonic()

    def run(self, resume: Path | None) -> None:
        """Train until the last step, or until a better evaluation has been waited for long enough.

        Args:
            resume: a checkpoint folder to go on from.

        Raises:
            TrainingError: the loss is not finite, or not even one sequence fits into memory.
            SpaceError: the disk has no room for the next checkpoint.
            CheckpointError: `resume` is damaged.
        """
        if resume is not None:
            self.run_state.read_progress(load_progress(resume))
        if self.run_state.finished:
            return
        if (
            resume is None
            and self.args.device.type == "cuda"
            and self.parts.settings.micro_batch_size == "auto"
        ):
            self.run_state.passes.probe(later=self.run_state.size(WHOLE - WEIGHTS))
        left = self.parts.settings.steps - self.run_state.step
        with self.parts.report.task("training", total=left, unit="steps") as self._task:
            if resume is None and self.parts.held_out is not None:
                self.evaluate()
            self._saved = time.monotonic()
            self.train(resume_from_checkpoint=str(resume) if resume else None)

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
        settings = self.parts.settings
        self.lr_scheduler = self.run_state.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.run_state.optimizer,
            lambda step: rate_factor(step, settings.steps, settings.warmup, settings.schedule),
        )
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
        return state.passes.learn(model, self._samples, self._place - 1, state.step, state.meter)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Held-out bits per byte; keeps the best weights and decides whether to stop."""
        self.control.should_evaluate = False
        state, watch = self.run_state, self.run_state.watch
        figures, better = evaluate(state, writes=self.args.should_save)
        if better:
            self.control.should_save = state.step > 0
        if watch.is_over and not self.control.should_training_stop:
            self.parts.report.say(f"none of the last {watch.waited} evaluations was better: stopping")
            self.control.should_training_stop = self.control.should_save = True
        return figures

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
            state.passes.estimate_curvature(model, batch, state.step, state.optimizer, self._resting())

    def _clip_grad_norm(self, model: Any) -> Tensor:
        """Clip; a step without a finite gradient is skipped, and one too many ends the training."""
        state = self.run_state
        drop_gradients(self._resting())
        norm: Tensor = super()._clip_grad_norm(model)
        self._line.see_gradient(norm)
        if state.guard.must_skip(state.step + 1, norm.item()):
            drop_gradients(self.parts.objective.parameters())
            self._write(state.step + 1, {"skipped": f"the gradient norm is {norm.item()}"})
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
        """Stop the clock, write the log, and say what is due after this step."""
        state, settings = self.run_state, self.parts.settings
        state.step = step = int(self.state.global_step)
        state.meter.end_step(counts=state.guard.bad_steps == 0)
        state.cursor = Cursor(**self._samples[-1]["cursor"])
        last = step >= settings.steps
        assert self._task is not None
        self._task.advance(1, self._log(step) if last or step % settings.log_steps == 0 else "")
        if self.parts.held_out is not None:
            self.control.should_evaluate = last or step % settings.evaluate_steps == 0
        due = time.monotonic() - self._saved > 60 * settings.checkpoint_minutes
        self.control.should_save = last or step % settings.checkpoint_steps == 0 or self.processes.any(due)

    def _log(self, step: int) -> str:
        """Write one line; what of it belongs to the bar."""
        figures = self._line.figures()
        if "clipped_share" in figures and step > self.parts.settings.warmup * self.parts.settings.steps:
            self.run_state.guard.see_clipping(step, figures["clipped_share"])
        self._write(step, figures)
        return note(figures)

    def _write(self, step: int, figures: dict[str, Any]) -> None:
        if self.args.should_save:
            self.parts.history.append({"step": step, **figures})

    # Saving and going on

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._saved, state = time.monotonic(), self.run_state
        if self.args.should_save:
            state.finished = bool(self.control.should_training_stop)
            size, best = state.size(WHOLE), state.watch.best_step
            self.parts.checkpoints.save(state.step, self._write_checkpoint, size, best)

    def _write_checkpoint(self, folder: Path) -> None:
        self.run_state.write(folder)
        self.state.save_to_json(str(folder / "trainer_state.json"))  # the Trainer's own, which it asks for

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.run_state.read_weights(Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.run_state.read_optimizer(Path(checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.run_state.read_random(Path(checkpoint))


class _Hooks(TrainerCallback):  # type: ignore[misc] # transformers ships no types
    """Passes the Trainer's moments on."""

    def __init__(self, training: ContinuedTraining) -> None:
        self.training = training

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.training.begin_step()

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        refresh_norms(self.training.parts.objective)

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.training.end_step()
