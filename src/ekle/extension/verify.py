"""Reading again what was written, and holding it against the digests taken on the way."""

from collections.abc import Callable, Mapping

from ekle.errors import PreservationError
from ekle.model.weights import INPUT_ROWS, OUTPUT_ROWS, Weights


def verify(
    base: Weights, written: Weights, digests: Mapping[str, str], rows: int, done: Callable[[], None]
) -> None:
    """Compare the extended model on disk with its base.

    Args:
        base: the base's weights; only names, types and shapes are looked at.
        written: what was written.
        digests: SHA-256 of each tensor that the extended model must have, taken when the base's bytes were
            read; of a row matrix, of the base's rows in it.
        rows: rows that the row matrices must have.
        done: called after each tensor.

    Raises:
        PreservationError: a tensor is absent, too many, of another type or shape, or differs in a byte.
    """
    if written.names() != sorted(digests):
        raise PreservationError(f"{written.folder} has other tensors than the base")
    for name, digest in digests.items():
        shape = base.shape(name)
        wanted = (rows, *shape[1:]) if name in (INPUT_ROWS, OUTPUT_ROWS) else shape
        if written.shape(name) != wanted or written.dtype(name) != base.dtype(name):
            raise PreservationError(f"{name} was written as {written.shape(name)} and not as {wanted}")
        if written.digest(name, shape[0] if shape else None) != digest:
            raise PreservationError(f"{name} did not arrive byte for byte; is the disk sound?")
        done()
