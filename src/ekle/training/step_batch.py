"""The sequences of one step, shared out over processes and forward passes.

A step of E sequences goes through in G batches, one after the other; in each, every one of P processes has
B sequences: E = B x G x P. In a batch of all processes, process p has the sequences p, p + P, p + 2P and so
on. How many of its B a process passes through at once is a matter of memory (`ekle.training.passes`).
Nothing that is drawn depends on any of that: noise and sampled labels go by the sequence's own number.

A training is begun with the B and G of the recipe, so E grows with the number of processes. It keeps the E
that it was begun with: with another number of processes it goes on with other B and G, and the same losses.
"""

from dataclasses import dataclass

from ekle.errors import TrainingError
from ekle.recipe.training import Training


@dataclass(frozen=True)
class StepBatch:
    """How a step is shared out."""

    sequences: int
    """E, of a step."""
    batch_size: int
    """B, of a process in one batch."""
    accumulation: int
    """G, batches a step."""
    length: int
    """T, tokens a sequence."""
    curvature: int
    """Of the step's first sequences, how many Sophia estimates the curvature on; at most B x P.

    The batch size of the recipe, whatever the number of processes. More would not make an estimate more
    exact: it is N times the square of a mean of N draws, which spreads as widely for any N.
    """


def share_out(settings: Training, processes: int, begun_with: int | None) -> StepBatch:
    """Share the sequences of a step out.

    Args:
        settings: batch size and accumulation of the recipe.
        processes: P.
        begun_with: E of the training that goes on; None for a new one.

    Raises:
        TrainingError: so many processes cannot share the step equally.
    """
    size = settings.batch_size
    sequences = begun_with or size * settings.gradient_accumulation * processes
    each = sequences // processes
    if each * processes != sequences:
        fitting = [str(number) for number in range(1, sequences + 1) if sequences % number == 0]
        raise TrainingError(
            f"this training takes {sequences} sequences a step, which {processes} processes cannot share "
            f"equally; go on with {' or '.join((', '.join(fitting[:-1]), fitting[-1]))}"
        )
    batch_size = next(number for number in range(min(size, each), 0, -1) if each % number == 0)
    return StepBatch(sequences, batch_size, each // batch_size, settings.sequence_length, size)
