"""The training loop, from a batch to a step of the optimiser; evaluations and checkpoints between steps.

What a checkpoint holds is `ekle.training.run_state`'s, because resuming must be exact.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback

from ekle.errors import TrainingError
from ekle.model.layers.dora import adapted_layers, refresh_norms
from ekle.page.training_log import step_summary
from ekle.progress import Task
from ekle.training.data.packing import Cursor
from ekle.training.micro_batches import Batch, Passes
from ekle.training.monitoring.guard import Guard
from ekle.training.monitoring.held_out import EarlyStopping
from ekle.training.monitoring.log_line import LogLine
from ekle.training.monitoring.memory_leak import LeakDetector
from ekle.training.monitoring.meter import Meter
from ekle.training.monitoring.training_log import trackers
from ekle.training.optimizers.gradients import clip_gradients, drop_gradients
from ekle.training.optimizers.make import make_optimizer
from ekle.training.optimizers.sophia import Sophia
from ekle.training.parallel import Processes, is_sharded, measure
from ekle.training.run_state import RunSetup, RunState, trainer_arguments


class Steps:
    """What happens around the passes of each step: curvature, clipping, the guard, the log.

    Attributes:
        leak: why the run must stop and go on in a fresh process; None while it may go on.
    """

    def __init__(self, state: RunState, processes: Processes) -> None:
        self.leak: str | None = None
        self._state, self._setup, self._processes = state, state.setup, processes
        self._line = LogLine(state, processes.sum)
        self._fault: str | None = None

    def begin(self, batch: Batch) -> None:
        """Start the clock; every k-th step, and when the adapters begin, estimate the curvature first."""
        state, every = self._state, self._setup.settings.sophia.hessian_every
        state.meter.begin_step()
        self._line.begin_step()
        is_due = state.step % every == 0 or state.step == self._rows_only_steps
        if isinstance(state.optimizer, Sophia) and is_due:
            self._setup.objective.train()
            state.passes.estimate_curvature(batch, state.optimizer, self._frozen_parameters())

    def clip(self) -> Tensor:
        """Clip the gradients, and drop those of a step that the guard would not have; their norm before."""
        state = self._state
        state.passes.finish()
        drop_gradients(self._frozen_parameters())
        norm = clip_gradients(self._setup.objective.parameters(), self._setup.settings.gradient_clip)
        self._line.record_gradient_norm(norm)
        loss = state.meter.step_loss(self._processes.sum)
        self._fault = state.guard.skip_reason(state.step + 1, loss, norm.item())
        if self._fault is not None:
            drop_gradients(self._setup.objective.parameters())
            self._write(state.step + 1, {"skipped": self._fault})
        return norm

    def end(self, batches: Sequence[Batch]) -> str:
        """Stop the clock and count the step; log it where that is due, or go back from it.

        Returns:
            A few words for the bar.
        """
        state = self._state
        state.step += 1
        state.meter.end_step(counts=self._fault is None)
        if self._fault is None:
            self._setup.new_tokens.count(batch["input_ids"] for batch in batches)
        state.cursor = Cursor(**batches[-1]["cursor"])
        if state.guard.must_roll_back:
            self._roll_back(str(self._fault))
            return ""
        return self._log(state.step) if self._line.is_due(state.step) else ""

    def _log(self, step: int) -> str:
        """Write one line, and look at it; what of it belongs to the bar."""
        state, settings = self._state, self._setup.settings
        figures = self._line.figures()
        self._write(step, figures)
        if "clipped_share" in figures and step > settings.warmup * settings.steps:
            state.guard.warn_if_clipping(step, figures["clipped_share"])
        leak = state.memory.leak(settings.steps - step, self._setup.reporter)
        if self._processes.any(leak is not None):
            self.leak = leak or "memory grows in another process"
        return step_summary(figures)

    def _roll_back(self, fault: str) -> None:
        """Go on from the last checkpoint, more slowly and with other text; the log forgets the way there."""
        state = self._state
        came_from = state.roll_back(fault)
        if self._processes.is_main_process:
            self._setup.history.truncate(state.step)
        figures = {"went_back_from": came_from, "because": fault, "rate_factor": state.guard.rate}
        self._write(state.step + 1, figures)
        self._setup.reporter.say(
            f"back from step {came_from:,} to the checkpoint of step {state.step:,}, and on with "
            f"{state.guard.rate:g} times the learning rate",
            step=state.step,
        )

    def _write(self, step: int, figures: dict[str, Any]) -> None:
        if self._processes.is_main_process:
            self._setup.history.append({"step": step, **figures})

    @property
    def _rows_only_steps(self) -> int:
        """Steps, at the start, in which only the new rows learn."""
        return math.ceil(self._setup.settings.rows_first * self._setup.settings.steps)

    def _frozen_parameters(self) -> list[nn.Parameter]:
        """What does not learn in this step; an optimiser keeps no momentum and no curvature of it."""
        if self._state.step >= self._rows_only_steps:
            return []
        return [part for _, layer in adapted_layers(self._setup.objective) for part in layer.parameters()]


def evaluate(state: RunState, processes: Processes) -> tuple[dict[str, Any], bool]:
    """Held-out figures of the weights as they are, and whether they are the best so far.

    The best weights are kept on disk; log and report hear of every evaluation. Every process reads all of
    the text: its share of the weights is needed for all of it.

    Args:
        state: the run; its watch takes note.
        processes: who takes part; all must call this.

    Raises:
        CheckpointError: the model gives no number before the first step.
        TrainingError: training has spoilt it.
        SpaceError: the disk has no room for the best weights.
    """
    setup, early_stopping, step, held_out = (
        state.setup,
        state.early_stopping,
        state.step,
        state.setup.held_out,
    )
    assert held_out is not None
    figures = measure(setup.objective, lambda model: held_out.figures(model, step))
    # Processes differ by rounding at most, but what follows from it must be the same in all.
    found = figures["held_out_bits_per_byte"] = processes.from_main(figures["held_out_bits_per_byte"])
    text = f"step {step:,}: {found:.4f} bits per byte on held-out text"
    better = early_stopping.record(step, found)
    if better:
        setup.checkpoints.save_best(step, state.write_weights, state.weights_bytes)
    if not better and early_stopping.best is not None:
        text += f" (best: {early_stopping.best:.4f} at step {early_stopping.best_step:,})"
    if processes.is_main_process:
        setup.history.append({"step": step, **figures})
    setup.reporter.say(text, step=step, **figures)
    return figures, better


class ContinuedTraining(Trainer):  # type: ignore[misc] # transformers ships no types
    """Trains adapters and new rows; `run` is the one entry, the rest is for the Trainer."""

    def __init__(self, setup: RunSetup, processes: Processes) -> None:
        self.setup, self.processes = setup, processes
        # Or accelerate would wrap it in DDP, whose last pass of a step waits for the other processes.
        setup.objective._is_accelerate_prepared = True  # type: ignore[assignment]
        super().__init__(model=setup.objective, args=trainer_arguments(setup, processes.device))
        self.remove_callback(PrinterCallback)
        self.add_callback(_Hooks(self))
        backward = self.accelerator.backward
        passes = Passes(setup.objective, setup.sizes, setup.seed, backward, processes, setup.reporter)
        self.run_state = RunState(
            setup=setup,
            is_main_process=processes.is_main_process,
            processes=processes.count,
            optimizer=make_optimizer(setup.objective, setup.rows, setup.settings),
            passes=passes,
            meter=Meter(processes.device),
            early_stopping=EarlyStopping(setup.settings.patience),
            guard=Guard(setup.settings.guard, setup.reporter),
            memory=LeakDetector(processes.device, setup.settings.memory_lines),
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
        if self.processes.is_main_process:
            self._track()
        left = self.setup.settings.steps - self.run_state.step
        with self.setup.reporter.task("training", total=left, unit="steps") as self._task:
            if resume is None and self.setup.held_out is not None:
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
        automatic = self.setup.settings.micro_batch_size == "auto"
        return on_gpu and automatic and not is_sharded(self.setup.objective)

    def _track(self) -> None:
        """Let the tracker of the recipe hear of every line of the log."""
        history = self.setup.history
        folder = history.path.parent / "tensorboard"
        for tracker in trackers(self.setup.settings.tracker, folder, self.run_state.step):
            self.add_callback(tracker)
        history.listener = lambda line: self.callback_handler.on_log(
            self.args, self.state, self.control, dict(line)
        )

    # What the Trainer asks for

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Our batches as they are; accelerate's own loader would read ahead of them."""
        # With a generator of its own, the loader leaves the global random state alone.
        return DataLoader(self.setup.batches, batch_size=None, generator=torch.Generator())

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
        state, early_stopping = self.run_state, self.run_state.early_stopping
        figures, better = evaluate(state, self.processes)
        if better and state.step > 0:
            self._save_due = True
            self.control.should_save |= state.guard.bad_steps == 0
        if early_stopping.is_over and not self.control.should_training_stop:
            self.setup.reporter.say(
                f"none of the last {early_stopping.waited} evaluations was better: stopping"
            )
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
        state, settings, before = self.run_state, self.setup.settings, self.run_state.step
        note = self._steps.end(self._samples)
        assert self._task is not None
        self._task.advance(state.step - before, note)
        if state.step != self.state.global_step:
            self.state.global_step = state.step
            self.control.should_training_stop = False  # the Trainer may have seen the last step
            self._save_due = False
            return
        last = state.step >= settings.steps
        if self.setup.held_out is not None:
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
        size, best = state.weights_bytes + state.state_bytes, state.early_stopping.best_step
        self.setup.checkpoints.save(state.step, state.write, size, best, state.guard.returns)


class _Hooks(TrainerCallback):  # type: ignore[misc] # transformers ships no types
    """Passes the Trainer's moments on."""

    def __init__(self, training: ContinuedTraining) -> None:
        self.training = training

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self.training.begin()

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.training.begin_step()

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        refresh_norms(self.training.setup.objective)

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.training.end_step()
