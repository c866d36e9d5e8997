"""The training loop: from a batch of text to a step of the optimiser, and what is done between two steps.

`train` is the whole of it, from top to bottom. Its parts are elsewhere: `ekle.training.micro_batches` has the
forward and backward passes, `ekle.training.run_state` what a checkpoint holds.

Processes that train together run the same loop over their own share of each batch. Where they talk (to sum,
to average, to agree), all of them do so, in the same order: nothing on such a way may depend on what one
process alone knows.
"""

import itertools
import math
import time
from pathlib import Path
from typing import Any

import torch

from ekle.errors import TrainingError
from ekle.model.distributed import is_main_process
from ekle.model.layers.dora import adapted_layers, refresh_norms
from ekle.page.training_log import step_summary
from ekle.training.data.packing import Cursor
from ekle.training.micro_batches import clip_gradients, drop_gradients
from ekle.training.monitoring.log_line import LogLine
from ekle.training.monitoring.trackers import tracked
from ekle.training.optimizers.sophia import Sophia
from ekle.training.parallel import is_sharded, measure
from ekle.training.run_state import RunState


def train(state: RunState, resume: Path | None) -> None:
    """Train until the last step, or until no better evaluation has come for long enough.

    Args:
        state: a new run; it is the trained one afterwards, and its last step is in a checkpoint.
        resume: a checkpoint folder to go on from; None begins.

    Raises:
        TrainingError: too many steps went wrong, memory leaks, or not even one sequence fits into it.
        SpaceError: the disk has no room for the next checkpoint.
        CheckpointError: `resume` is damaged, or the model gives no number before the first step.
        InputError: the package of `training.tracker` is not installed.
    """
    setup, settings, reporter = state.setup, state.setup.settings, state.setup.reporter
    objective, optimizer, passes, processes = setup.objective, state.optimizer, state.passes, state.processes
    on_gpu = processes.device.type == "cuda"

    # Attention dropout would draw from the global random state: every run begins with the same one, and a
    # checkpoint holds it.
    torch.manual_seed(setup.seed)
    if resume is not None:
        state.read_place(resume)
        if state.finished:
            return
    elif on_gpu and settings.micro_batch_size == "auto" and not is_sharded(objective):
        # The plan cannot know everything. Too little memory is found now and not in the middle of a step.
        passes.probe(later=state.state_bytes)

    # At first, only the new rows may learn: `frozen` are the adapters in those steps.
    rows_only_steps = math.ceil(settings.rows_first * settings.steps)
    adapters = [parameter for _, layer in adapted_layers(objective) for parameter in layer.parameters()]
    line = LogLine(state)
    leak: str | None = None
    stop = save_due = False

    steps_left = settings.steps - state.step
    with tracked(setup, state.step, not on_gpu), reporter.task("training", steps_left, "steps") as task:
        if resume is not None:
            state.read(resume)
        else:
            evaluate(state)
            if on_gpu:
                torch.cuda.empty_cache()  # what the evaluation's tensors leave does not fit those of a step
            state.save()  # a full disk is found now, and a rollback has somewhere to go
        saved_at = time.monotonic()
        stream = iter(setup.batches)

        while state.step < settings.steps and not stop:
            # The text of one step. Waiting for it is not on the step's clock.
            batches = list(itertools.islice(stream, setup.sizes.accumulation))
            frozen = adapters if state.step < rows_only_steps else []
            state.meter.begin_step()
            line.begin_step()
            # Evaluations leave the model in evaluation mode, in which activation checkpointing does nothing.
            objective.train()

            # Curvature, for Sophia: every k-th step, and before the first step of the adapters.
            curvature_due = state.step % settings.sophia.hessian_every == 0 or state.step == rows_only_steps
            if isinstance(optimizer, Sophia) and curvature_due:
                passes.estimate_curvature(batches[0], optimizer, frozen)

            # Gradient of the mean loss over all labels of the step: micro-batch by micro-batch, then over
            # the processes. Clipped, so that one bad batch cannot throw the weights far.
            for number in range(len(batches)):
                passes.accumulate(batches, number, state.meter)
            passes.finish()
            drop_gradients(frozen)
            if state.shared_rows is not None:  # Muon takes their direction alone, so they need no clipping
                state.shared_rows.take_gradients()
            norm = clip_gradients(objective.parameters(), settings.gradient_clip)
            line.record_gradient_norm(norm)

            # A step that went wrong changes no weight, and its text is not read again.
            loss = state.meter.step_loss(processes.sum)
            fault = state.guard.skip_reason(state.step + 1, loss, norm.item())
            if fault is not None:
                drop_gradients(state.learning())
                _log(state, {"step": state.step + 1, "skipped": fault})

            # Update. The optimiser and the schedule step in any case: both count steps, skipped ones too.
            optimizer.step()
            if state.shared_rows is not None:
                state.shared_rows.move_rows()
            refresh_norms(objective)  # DoRA's norms are those of the new weights
            state.schedule.step()
            drop_gradients(state.learning())
            before, state.step = state.step, state.step + 1
            state.meter.end_step(counts=fault is None)
            if fault is None and setup.new_tokens is not None:
                setup.new_tokens.count(batch["input_ids"] for batch in batches)
            state.cursor = Cursor(**batches[-1]["cursor"])

            # Too many bad steps in a row: the weights are at fault, and older ones take their place.
            if state.guard.must_roll_back:
                _roll_back(state, str(fault))
                task.advance(state.step - before)
                save_due = False
                continue

            summary = ""
            if line.is_due(state.step):
                figures, growth = _write_line(state, line)
                summary = step_summary(figures)
                if processes.any(growth is not None):
                    leak = growth or "memory grows in another process"
            task.advance(1, summary)

            # Between two steps: evaluate, stop early, save. Weights whose steps go wrong are not saved,
            # because a rollback would come to them; what is due waits for a good step. The last are saved.
            is_last, is_good = state.step >= settings.steps, state.guard.bad_steps == 0
            stop = is_last or (leak is not None and is_good)
            save_due |= state.step % settings.checkpoint_steps == 0
            save_due |= processes.any(time.monotonic() - saved_at > 60 * settings.checkpoint_minutes)
            if is_last or state.step % settings.evaluate_steps == 0:
                save_due |= evaluate(state)
                if state.early_stopping.is_over and not stop:
                    waited = state.early_stopping.waited
                    reporter.say(f"none of the last {waited} evaluations was better: stopping")
                    stop = True
            if stop or (save_due and is_good):
                state.finished = stop and leak is None
                saved_at, save_due = time.monotonic(), False
                state.save()

    if leak is not None:
        raise TrainingError(
            f"{leak}: something leaks; stopped after saving step {state.step:,}, "
            "run again and it goes on from there in a fresh process"
        )


def evaluate(state: RunState) -> bool:
    """Measure the weights as they are on held-out text, and keep them if they are the best so far.

    For all processes: each reads all of the text, because the others need its share of the weights for it.

    Returns:
        Whether they are the best so far; False where the corpus holds no text out.

    Raises:
        CheckpointError: the model gives no number before the first step.
        TrainingError: training has spoilt it.
        SpaceError: the disk has no room for the best weights.
    """
    setup, early_stopping, step = state.setup, state.early_stopping, state.step
    held_out = setup.held_out
    if held_out is None:
        return False
    figures = measure(setup.objective, lambda model: held_out.figures(model, step))
    # Processes differ by rounding at most, but what follows from it must be the same in all.
    found = figures["held_out_bits_per_byte"] = state.processes.from_main(figures["held_out_bits_per_byte"])
    is_best = early_stopping.record(step, found)
    text = f"step {step:,}: {found:.4f} bits per byte on held-out text"
    if is_best:
        setup.checkpoints.save_best(step, state.write_weights, state.weights_bytes)
    elif early_stopping.best is not None:
        text += f" (best: {early_stopping.best:.4f} at step {early_stopping.best_step:,})"
    _log(state, {"step": step, **figures, **state.spent(state.processes.sum)})
    setup.reporter.say(text, step=step, **figures)
    return is_best


def _write_line(state: RunState, line: LogLine) -> tuple[dict[str, Any], str | None]:
    """Log the step that ended; the figures, and how this process's memory grows if that must end the run."""
    settings, step, figures = state.setup.settings, state.step, line.figures()
    _log(state, {"step": step, **figures})
    if "clipped_share" in figures and step > settings.warmup * settings.steps:
        state.guard.warn_if_clipping(step, figures["clipped_share"])
    return figures, state.leak_detector.leak(settings.steps - step, state.setup.reporter)


def _roll_back(state: RunState, fault: str) -> None:
    """Go on from an earlier checkpoint, more slowly and with other text; the log forgets the way there."""
    came_from = state.roll_back(fault)
    if is_main_process():
        state.setup.history.truncate(state.step)
    rate = state.guard.rate
    _log(
        state, {"step": state.step + 1, "rolled_back_from": came_from, "because": fault, "rate_factor": rate}
    )
    state.setup.reporter.say(
        f"back from step {came_from:,} to the checkpoint of step {state.step:,}, and on with "
        f"{rate:g} times the learning rate",
        step=state.step,
    )


def _log(state: RunState, line: dict[str, Any]) -> None:
    """Add a line to the training log; in the main process alone."""
    if is_main_process():
        state.setup.history.append(line)
