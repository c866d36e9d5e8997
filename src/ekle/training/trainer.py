"""The training loop: transformers' Trainer with our loss, optimiser, checkpoints and log.

What is saved, when, and how it is read back is decided here and not by the Trainer, because resuming
must be exact.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback

from ekle.errors import CheckpointError, TrainingError
from ekle.files import write_json
from ekle.model.adapter import load_adapter, save_adapter
from ekle.model.dora import adapted_layers, refresh_norms
from ekle.progress import Task
from ekle.training.checkpoints import (
    load_optimizer,
    load_progress,
    load_random_state,
    save_optimizer,
    save_random_state,
)
from ekle.training.guard import Guard
from ekle.training.meter import Meter
from ekle.training.optimizers import drop_gradients, learning_rates, make_optimizer
from ekle.training.packing import Cursor
from ekle.training.parts import Parts, trainer_arguments
from ekle.training.passes import Passes
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
        self.watch = Watch(parts.settings.patience)
        self.meter = Meter(device)
        self.cursor = Cursor()
        self.guard = Guard(parts.report)
        self.inner_optimizer = make_optimizer(parts.objective, parts.rows, parts.settings)
        self.passes = Passes(
            parts.objective,
            parts.settings,
            parts.seed,
            device,
            self.accelerator.backward,
            (self.args.process_index, self.args.world_size),
            parts.report,
        )
        self._samples: list[dict[str, Any]] = []
        self._place = 0
        self._step_figures: dict[str, Any] = {}
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
        progress = load_progress(resume) if resume else {"step": 0, "finished": False}
        if progress["finished"]:
            self._read_progress(progress)
            return
        left = self.parts.settings.steps - progress["step"]
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
        """Sophia or AdamW over adapters and new rows; accelerate wraps it in another afterwards."""
        self.optimizer = self.inner_optimizer
        return self.inner_optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule of the recipe, the same for all groups."""
        settings = self.parts.settings
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.inner_optimizer,
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
        return self.passes.learn(model, self._samples[: self._place], self.state.global_step, self.meter)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Held-out bits per byte; keeps the best weights and decides whether to stop."""
        self.control.should_evaluate = False
        assert self.parts.held_out is not None
        step = int(self.state.global_step)
        try:
            found = self.parts.held_out.measure(self.parts.objective.language_model)
        except CheckpointError as error:
            if step == 0:
                raise
            raise TrainingError(
                f"training went wrong before step {step:,}: {error}; lower training.learning_rate "
                "and start over with --redo training"
            ) from error
        figures = {
            "held_out_bits_per_byte": found.bits_per_byte,
            "held_out_loss_per_token": found.loss_per_token,
            "held_out_tokens": found.tokens,
            "held_out_bytes": found.bytes,
        }
        text = f"step {step:,}: {found.bits_per_byte:.4f} bits per byte on held-out text"
        if self.watch.see(step, found.bits_per_byte):
            if self.args.should_save:
                self.parts.checkpoints.save_best(step, self._write_weights, self._size(values=1))
            self.control.should_save = step > 0
        elif self.watch.best is not None:
            text += f" (best: {self.watch.best:.4f} at step {self.watch.best_step:,})"
        self._write(step, figures)
        self.parts.report.say(text, step=step, **figures)
        if self.watch.is_over and not self.control.should_training_stop:
            self.parts.report.say(f"none of the last {self.watch.waited} evaluations was better: stopping")
            self.control.should_training_stop = self.control.should_save = True
        return figures

    # One step of the optimiser, from its beginning to its end

    def begin_step(self) -> None:
        """Start the clock; every k-th step, estimate the curvature first."""
        self.meter.begin_step()
        self._place = 0
        self._step_figures = learning_rates(self.inner_optimizer)
        every = self.parts.settings.sophia.hessian_every
        if isinstance(self.inner_optimizer, Sophia) and self.state.global_step % every == 0:
            self.model_wrapped.train()
            batch, step = self._samples[0], self.state.global_step
            self.passes.estimate_curvature(self.model_wrapped, batch, step, self.inner_optimizer)

    def _clip_grad_norm(self, model: Any) -> Tensor:
        """Clip; a step without a finite gradient is skipped, and one too many ends the training."""
        if self.state.global_step < self.parts.settings.rows_first * self.parts.settings.steps:
            for _, layer in adapted_layers(self.parts.objective):
                drop_gradients(layer.parameters())
        norm: Tensor = super()._clip_grad_norm(model)
        self._step_figures["grad_norm"] = norm.item()
        step = self.state.global_step + 1
        if self.guard.must_skip(step, norm.item()):
            drop_gradients(self.parts.objective.parameters())
            self._write(step, {"skipped": f"the gradient norm is {norm.item()}"})
        return norm

    def end_step(self) -> None:
        """Stop the clock, write the log, and say what is due after this step."""
        step, settings = int(self.state.global_step), self.parts.settings
        self.meter.end_step(counts=self.guard.bad_steps == 0)
        self.cursor = Cursor(**self._samples[-1]["cursor"])
        last = step >= settings.steps
        note = self._log(step) if last or step % settings.log_steps == 0 else ""
        assert self._task is not None
        self._task.advance(1, note)
        if self.parts.held_out is not None:
            self.control.should_evaluate = last or step % settings.evaluate_steps == 0
        due = time.monotonic() - self._saved > 60 * settings.checkpoint_minutes
        self.control.should_save = last or step % settings.checkpoint_steps == 0 or self._anywhere(due)

    def _log(self, step: int) -> str:
        """Write one line; what of it belongs to the bar."""
        figures = {
            **self.meter.read(self._sum),
            **self._step_figures,
            "new_row_norm": self.parts.rows.input.detach().norm(dim=1).mean().item(),
            "tokens": self.cursor.tokens,
            "replay_tokens": self.cursor.replay_tokens,
            "seconds": round(self.meter.all_seconds, 3),
        }
        if isinstance(self.inner_optimizer, Sophia):
            figures["clipped_share"] = self.inner_optimizer.clipped.item()
            if step > self.parts.settings.warmup * self.parts.settings.steps:
                self.guard.see_clipping(step, figures["clipped_share"])
        self._write(step, figures)
        if "loss_per_token" not in figures:
            return ""
        return (
            f"loss {figures['loss_per_token']:.3f}, {figures['bits_per_byte']:.3f} bits per byte, "
            f"{figures['tokens_per_second']:,.0f} tokens/s"
        )

    def _write(self, step: int, figures: dict[str, Any]) -> None:
        if self.args.should_save:
            self.parts.history.append({"step": step, **figures})

    # Saving and going on

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._saved = time.monotonic()
        if self.args.should_save:
            # Both optimisers keep two values for each that learns.
            step, best, size = int(self.state.global_step), self.watch.best_step, self._size(values=3)
            self.parts.checkpoints.save(step, self._write_checkpoint, size, best)

    def _write_checkpoint(self, folder: Path) -> None:
        self._write_weights(folder)
        save_optimizer(self.inner_optimizer, folder)
        save_random_state(folder)
        self.state.save_to_json(str(folder / "trainer_state.json"))
        progress = {
            "step": int(self.state.global_step),
            "finished": bool(self.control.should_training_stop),
            "cursor": self.cursor.as_json(),
            "seconds": self.meter.all_seconds,
            "best": self.watch.best,
            "best_step": self.watch.best_step,
            "waited": self.watch.waited,
            "bad_steps": self.guard.bad_steps,
            "pieces": self.passes.pieces,
            "schedule": self.lr_scheduler.state_dict(),
            "record": self.parts.record,
        }
        write_json(folder / "progress.json", progress)

    def _write_weights(self, folder: Path) -> None:
        save_adapter(self.parts.objective.language_model, folder / "adapter")
        self.parts.rows.save(folder / "new_rows.safetensors")

    def _size(self, values: int) -> int:
        """Bytes that so many values of each learning parameter take."""
        learning = (p for p in self.parts.objective.parameters() if p.requires_grad)
        return values * sum(p.numel() * p.element_size() for p in learning)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        load_adapter(self.parts.objective.language_model, folder / "adapter")
        self.parts.rows.load(folder / "new_rows.safetensors")
        self._read_progress(load_progress(folder))

    def _read_progress(self, progress: dict[str, Any]) -> None:
        self.cursor = Cursor(**progress["cursor"])
        self.watch.best, self.watch.best_step = progress["best"], progress["best_step"]
        self.watch.waited = progress["waited"]
        self.meter.all_seconds = progress["seconds"]
        self.guard.bad_steps, self.passes.pieces = progress["bad_steps"], progress["pieces"]
        self.state.global_step = progress["step"]

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_optimizer(self.inner_optimizer, Path(checkpoint))
            self.lr_scheduler.load_state_dict(load_progress(Path(checkpoint))["schedule"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_random_state(Path(checkpoint))

    # Several processes

    def _sum(self, values: Tensor) -> Tensor:
        summed: Tensor = self.accelerator.reduce(values, "sum")
        return summed

    def _anywhere(self, flag: bool) -> bool:
        """Whether `flag` holds in some process, so that all of them save together."""
        if self.args.world_size == 1:
            return flag
        return bool(self._sum(torch.tensor(float(flag), device=self.args.device)).item())


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
