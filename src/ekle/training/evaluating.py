"""An evaluation on held-out text during training: is it the best so far, and is the wait over?"""

from typing import Any

from ekle.training.run_state import WEIGHTS, RunState


def evaluate(state: RunState, writes: bool) -> tuple[dict[str, Any], bool]:
    """Held-out figures of the weights as they are, and whether they are the best so far.

    The best weights are kept on disk; log and report hear of every evaluation.

    Args:
        state: the run; its watch takes note.
        writes: whether this is the process that writes files.

    Raises:
        CheckpointError: the model gives no number before the first step.
        TrainingError: training has spoilt it.
        SpaceError: the disk has no room for the best weights.
    """
    parts, watch, step = state.parts, state.watch, state.step
    assert parts.held_out is not None
    figures = parts.held_out.figures(parts.objective.language_model, step)
    found = figures["held_out_bits_per_byte"]
    text = f"step {step:,}: {found:.4f} bits per byte on held-out text"
    better = watch.see(step, found)
    if better and writes:
        parts.checkpoints.save_best(step, state.write_weights, state.size(WEIGHTS))
    if not better and watch.best is not None:
        text += f" (best: {watch.best:.4f} at step {watch.best_step:,})"
    if writes:
        parts.history.append({"step": step, **figures})
    parts.report.say(text, step=step, **figures)
    return figures, better
