"""Room on the disk and in the host's memory."""

from dataclasses import replace

from ekle.planning.case import Case
from ekle.planning.memory import Part, optimizer_state

_FLOAT = 4
_BASE = 2  # Qwen3 is published in bfloat16


def disk_usage(case: Case) -> list[Part]:
    """What training and the models around it take, at the fullest moment."""
    weights = case.learning * _FLOAT
    whole = weights + _state(case)
    kept = case.training.keep_checkpoints + 1  # a new one is whole before the oldest goes
    rows = case.shape.embedding_matrices * case.new_row_parameters
    model = (case.shape.parameter_count + rows) * _BASE
    aligned = [Part("alignment", weights, f"{case.learning:,} numbers x {_FLOAT} bytes, kept as they were")]
    return [
        *(aligned if case.training.alignment.steps else []),
        Part("checkpoints", kept * whole, f"({kept - 1} kept + 1 being written) x {whole:,} bytes"),
        Part("best weights", 2 * weights, f"2 x {weights:,} bytes: the best, and the one before until then"),
        Part("result", weights, f"{case.learning:,} numbers x {_FLOAT} bytes"),
        Part(
            "extended model and release",
            2 * model,
            f"2 x ({case.shape.parameter_count:,} + {rows:,}) numbers x {_BASE} bytes",
        ),
    ]


def host_memory(case: Case) -> list[Part]:
    """What the processor's own memory holds when it holds most."""
    rows = case.shape.embedding_matrices * case.new_row_parameters
    loaded = (case.shape.parameter_count + rows) * case.width + case.learning * _FLOAT
    written = case.learning * _FLOAT + _state(case)
    return [
        Part("while the model is loaded", loaded, "frozen weights, new rows and adapters"),
        Part("while a checkpoint is written", written, "adapters, new rows and the optimiser's state"),
    ]


def _state(case: Case) -> int:
    """Bytes of the optimiser's state, which several GPUs write as one."""
    return optimizer_state(replace(case, gpus=1)).bytes
