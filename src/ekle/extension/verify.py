"""Reading again what was written, and comparing it with the base byte for byte."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ekle.errors import PreservationError
from ekle.model.weights import INPUT_ROWS, OUTPUT_ROWS, Weights, open_weights


def verify(
    base: Weights, names: Sequence[str], model: Path, rows: int, done: Callable[[], None]
) -> dict[str, str]:
    """Compare the extended model on disk with its base.

    Args:
        base: the base's weights.
        names: the base's tensors that the extended model must have, and no others.
        model: the folder that was written.
        rows: rows that its row matrices must have.
        done: called after each tensor.

    Returns:
        SHA-256 of each tensor as the base has it: of the row matrices, the base's rows.

    Raises:
        PreservationError: a tensor is absent, too many, of another type or shape, or differs in a byte.
    """
    digests: dict[str, str] = {}
    with open_weights(model) as written:
        if written.names() != sorted(names):
            raise PreservationError(f"{model} has other tensors than the base")
        for name in names:
            shape = base.shape(name)
            wanted = (rows, *shape[1:]) if name in (INPUT_ROWS, OUTPUT_ROWS) else shape
            if written.shape(name) != wanted or written.dtype(name) != base.dtype(name):
                raise PreservationError(f"{name} was written as {written.shape(name)} and not as {wanted}")
            digests[name] = base.digest(name)
            if written.digest(name, shape[0] if shape else None) != digests[name]:
                raise PreservationError(f"{name} did not arrive byte for byte; is the disk sound?")
            done()
    return digests
