"""Space on the disk and in the memory of the host."""

from dataclasses import replace

from ekle.planning.case import Case
from ekle.planning.memory import FLOAT_BYTES, Part, optimizer_state

_BASE_BYTES = 2  # Qwen3 is published in bfloat16


def disk_usage(case: Case) -> list[Part]:
    """What a training, its extended model and its release take when the disk is fullest."""
    weights = case.trainable_parameters * FLOAT_BYTES
    checkpoint = weights + _state_bytes(case)
    kept = case.training.keep_checkpoints + 1  # a new one is complete before the oldest is removed
    rows = case.shape.embedding_matrices * case.new_row_parameters
    model = (case.shape.parameter_count + rows) * _BASE_BYTES
    aligned = [Part("alignment", weights, f"{case.trainable_parameters:,} parameters x {FLOAT_BYTES} bytes")]
    return [
        *(aligned if case.training.alignment.steps else []),
        Part("checkpoints", kept * checkpoint, f"({kept - 1} kept + 1 being written) x {checkpoint:,} bytes"),
        Part(
            "best weights",
            2 * weights,
            f"2 x {weights:,} bytes: the best, and the previous best until it is replaced",
        ),
        Part("result", weights, f"{case.trainable_parameters:,} parameters x {FLOAT_BYTES} bytes"),
        Part(
            "extended model and release",
            2 * model,
            f"2 x ({case.shape.parameter_count:,} + {rows:,}) parameters x {_BASE_BYTES} bytes",
        ),
    ]


def host_memory(case: Case) -> list[Part]:
    """What is in the memory of the host when it is fullest."""
    rows = case.shape.embedding_matrices * case.new_row_parameters
    loaded = (
        case.shape.parameter_count + rows
    ) * case.bytes_per_number + case.trainable_parameters * FLOAT_BYTES
    written = case.trainable_parameters * FLOAT_BYTES + _state_bytes(case)
    return [
        Part("while the model is loaded", loaded, "frozen weights, new embeddings and adapters"),
        Part("while a checkpoint is written", written, "adapters, new embeddings and the optimiser state"),
    ]


def _state_bytes(case: Case) -> int:
    """Bytes of the optimiser state of all GPUs, which is written as one."""
    return optimizer_state(replace(case, gpus=1)).bytes
