"""An evaluation on held-out text during training: is it the best so far, and is the wait over?"""

from typing import Any

from ekle.training.devices.processes import Processes
from ekle.training.devices.sharding import measure
from ekle.training.run_state import RunState


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
    parts, watch, step, held_out = state.parts, state.watch, state.step, state.parts.held_out
    assert held_out is not None
    figures = measure(parts.objective, lambda model: held_out.figures(model, step))
    # Processes differ by rounding at most, but what follows from it must be the same in all.
    found = figures["held_out_bits_per_byte"] = processes.told(figures["held_out_bits_per_byte"])
    text = f"step {step:,}: {found:.4f} bits per byte on held-out text"
    better = watch.see(step, found)
    if better:
        parts.checkpoints.save_best(step, state.write_weights, state.weights_bytes)
    if not better and watch.best is not None:
        text += f" (best: {watch.best:.4f} at step {watch.best_step:,})"
    if processes.is_main:
        parts.history.append({"step": step, **figures})
    parts.report.say(text, step=step, **figures)
    return figures, better
