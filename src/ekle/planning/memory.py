"""Memory of a training by formula: what stays in it all the time, and what each phase needs on top.

The formulas count the bytes of tensors, in the order in which the engine makes and frees them. What a GPU
takes besides (the CUDA context, fragmentation) is assumed in `ekle.planning.plan`.

With several GPUs (FSDP2), each holds a shard of every weight, gradient and optimiser state. For a pass it
also holds the full embedding matrices and two full blocks: the one that computes, and the next.

The activations of a block follow the engine. DoRA's autograd function keeps its input, its output and x A^T.
RMSNorm computes in float32, so with bfloat16 it keeps a copy twice as wide. Packed sequences have a mask;
with it, attention repeats keys and values for every head and keeps the mask in the precision of the products.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from ekle.model.chunk_sizes import WEIGHTS_PER_CHUNK
from ekle.planning.case import Case


@dataclass(frozen=True)
class Part:
    """Something that takes memory or disk space."""

    name: str
    bytes: int
    formula: str
    """How `bytes` is computed, in words and numbers."""


@dataclass(frozen=True)
class MemoryPhase:
    """A phase of a training step, and what is in memory then on top of what is persistent."""

    name: str
    parts: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all parts."""
        return total(self.parts)


def total(parts: Iterable[Part]) -> int:
    """Bytes of all parts."""
    return sum(part.bytes for part in parts)


FLOAT_BYTES = 4
"""Trainable parameters, their gradients and the norms are float32."""
_ID_BYTES = 8


def block_activations(case: Case) -> list[Part]:
    """What one block keeps of a micro-batch for the backward pass."""
    shape, width, adapted = case.shape, case.bytes_per_number, case.adapted
    inputs_kept = any(name in adapted for name in ("q_proj", "k_proj", "v_proj"))
    gates_kept = any(name in adapted for name in ("gate_proj", "up_proj"))
    # With float32 the residual stream itself is kept, with bfloat16 a float32 copy of it.
    norms = 2 * FLOAT_BYTES * (shape.hidden + 1) + width * shape.hidden * (inputs_kept + gates_kept)
    scores = 0
    for name, size, heads in (
        ("q_proj", shape.queries, shape.heads),
        ("k_proj", shape.keys, shape.key_value_heads),
    ):
        scores += width * size if name in adapted or not case.uses_bf16 else 0
        scores += FLOAT_BYTES * (size * case.uses_bf16 + heads)
    scores += width * shape.keys * ("v_proj" in adapted)
    # Queries and keys after the rotary embedding, repeated keys and values, the output, and the log-sum of
    # each softmax.
    repeated = case.has_attention_mask and shape.heads != shape.key_value_heads
    rotated = 3 * shape.queries if repeated else 2 * shape.queries + shape.keys * ("v_proj" not in adapted)
    attention = width * (rotated + shape.queries) + FLOAT_BYTES * shape.heads
    attention += width * shape.hidden * ("o_proj" in adapted)
    gated = width * shape.intermediate * (3 + ("down_proj" in adapted))
    gated += width * shape.hidden * ("down_proj" in adapted)
    low_rank = width * case.training.dora.rank * len(adapted)
    mask = width * case.training.sequence_length * case.has_attention_mask
    tokens = case.tokens
    return [
        Part("norms and their outputs", tokens * norms, f"{tokens:,} tokens x {norms:,} bytes"),
        Part("queries, keys, values", tokens * scores, f"{tokens:,} tokens x {scores:,} bytes"),
        Part("attention", tokens * (attention + mask), f"{tokens:,} tokens x {attention + mask:,} bytes"),
        Part("gated product", tokens * gated, f"{tokens:,} tokens x {gated:,} bytes"),
        Part("x A^T of the adapters", tokens * low_rank, f"{tokens:,} tokens x {low_rank:,} bytes"),
    ]


def block_input(case: Case) -> int:
    """Bytes of a block's input, which is all that activation checkpointing keeps of it."""
    return case.tokens * case.bytes_per_number * case.shape.hidden


def block_backward(case: Case) -> int:
    """Bytes that a block's backward pass needs at its peak, beyond what was kept.

    The peak is at the gated product: the gradients of it and of both factors, minus what is freed by then.
    """
    shape, down = case.shape, "down_proj" in case.adapted
    freed = down * (shape.intermediate + shape.hidden + case.training.dora.rank)
    return case.tokens * case.bytes_per_number * (3 * shape.intermediate + shape.hidden - freed)


def block_evaluation(case: Case, tokens: int) -> int:
    """Bytes that a block holds in an evaluation, where nothing is kept for a backward pass."""
    shape = case.shape
    gated = case.bytes_per_number * (3 * shape.intermediate + 2 * shape.hidden)
    attention = case.bytes_per_number * (5 * shape.queries + 2 * shape.hidden)
    return tokens * (max(gated, attention) + case.bytes_per_number * case.evaluation.context)


EVALUATION = "in an evaluation"
"""The one phase that is not part of a training step."""


def persistent(case: Case) -> list[Part]:
    """What is in memory from the first step to the last."""
    shape, rank = case.shape, case.training.dora.rank
    sides = sum(narrow + wide for narrow, wide in case.adapted.values())
    outs = sum(wide for _, wide in case.adapted.values())
    rows = f"{shape.embedding_matrices} x {case.new_rows:,} x {shape.hidden:,}"
    blocks = f"{shape.layers} blocks"
    parts = [
        _sharded(
            case,
            "frozen weights",
            shape.parameter_count,
            case.bytes_per_number,
            f"{shape.parameter_count:,} parameters of the base",
        ),
        _sharded(
            case, "new embeddings", shape.embedding_matrices * case.new_row_parameters, FLOAT_BYTES, rows
        ),
        _sharded(
            case,
            "adapters",
            case.lora_parameters + case.magnitude_parameters,
            FLOAT_BYTES,
            f"{blocks} x ({rank} x {sides:,} + {outs:,})",
        ),
        optimizer_state(case),
        Part(
            "norms of W + s B A",
            case.magnitude_parameters * FLOAT_BYTES,
            f"{blocks} x {outs:,} x {FLOAT_BYTES} bytes",
        ),
        Part(
            "bytes of each token",
            case.total_rows * _ID_BYTES,
            f"{case.total_rows:,} rows x {_ID_BYTES} bytes",
        ),
    ]
    if case.shared_features:
        features = shape.embedding_matrices * case.new_rows * case.shared_features
        what = f"{shape.embedding_matrices} x {case.new_rows:,} x {case.shared_features:,}"
        parts += [
            _sharded(case, "features of new embeddings", features, case.bytes_per_number, what),
            Part(
                "maps of new embeddings",
                2 * case.map_parameters * FLOAT_BYTES,
                f"maps and momentum, 2 x {case.map_parameters:,} x {FLOAT_BYTES} bytes",
            ),
        ]
    if case.device == "cpu":  # there the new rows of the loaded matrix are not freed
        loaded = shape.embedding_matrices * case.new_row_parameters * case.bytes_per_number
        parts.append(Part("new embeddings as loaded", loaded, f"{rows} x {case.bytes_per_number} bytes"))
    return parts


def optimizer_state(case: Case) -> Part:
    """What the optimiser keeps for the trainable parameters."""
    width = 2 if case.training.state_precision == "bf16" else FLOAT_BYTES
    name, rows = "optimiser state", case.shape.embedding_matrices * case.new_row_parameters
    stepped = case.trainable_parameters - (rows if case.shared_features else 0)  # maps are counted apart
    other = stepped - case.lora_parameters
    match case.training.optimizer:
        case "sophia":
            what = f"momentum and curvature, 2 x {case.trainable_parameters:,}"
            return _sharded(case, name, 2 * case.trainable_parameters, width, what)
        case "adamw":
            what = f"two averages, 2 x {stepped:,}"
            return _sharded(case, name, 2 * stepped, width, what)
        case "muon":
            what = f"one average of A and B, two of the rest, {case.lora_parameters:,} + 2 x {other:,}"
            return _sharded(case, name, case.lora_parameters + 2 * other, width, what)
        case _:
            assert_never(case.training.optimizer)


def gradients(case: Case) -> Part:
    """Gradients of all trainable parameters."""
    count = case.trainable_parameters
    return _sharded(case, "gradients", count, FLOAT_BYTES, f"{count:,} parameters")


def phases(case: Case) -> list[MemoryPhase]:
    """The phases of a step that need most memory, in their order, and an evaluation."""
    found = [_loss(case), _backward(case)]
    # Gradients grow while activations are freed, so the end of a single backward pass counts as well.
    if case.micro_batches == 1:
        found.append(_first_block(case))
    return [*found, _optimizer_step(case), _norms(case), _evaluation(case)]


def _loss(case: Case) -> MemoryPhase:
    """The forward pass is done, and the loss computes its gradients chunk by chunk."""
    hidden, width = case.shape.hidden, case.bytes_per_number
    parts = [
        *_gathered(case),
        *_accumulated_gradients(case),
        *_saved_activations(case),
        _outside_blocks(case),
        _logits(case, case.logits_chunk),
        Part(
            "hidden states and their gradient",
            case.tokens * (2 * width * hidden + 12),
            f"{case.tokens:,} tokens x (2 x {hidden:,} x {width} + 12) bytes",
        ),
        _output_row_gradient(case),
    ]
    if case.uses_bf16:
        copies = 2 * case.new_row_parameters * width
        what = f"2 x {case.new_rows:,} x {hidden:,} x {width} bytes"
        parts.append(Part("new embeddings in bf16", copies, what))
    return MemoryPhase("at the loss", tuple(parts))


def _backward(case: Case) -> MemoryPhase:
    """The backward pass is at the last norm, or enters the last block."""
    hidden = case.shape.hidden
    recomputed = block_activations(case) if case.training.activation_checkpointing else []
    block = _block(case)
    norm = _per_token(case, "backward pass of the last norm", hidden * (20 + case.bytes_per_number))
    parts = [
        *_gathered(case),
        *_accumulated_gradients(case),
        *_saved_activations(case),
        _outside_blocks(case),
    ]
    if case.micro_batches == 1:
        parts.append(_output_row_gradient(case))
    if total(recomputed) + block.bytes > norm.bytes:
        parts += [Part(f"{part.name}, recomputed", part.bytes, part.formula) for part in recomputed]
        parts.append(block)
    else:
        parts.append(norm)
    return MemoryPhase("in the backward pass", tuple(parts))


def _first_block(case: Case) -> MemoryPhase:
    """The backward pass enters the first block, which it reaches last."""
    parts = [*_gathered(case), gradients(case), *block_activations(case), _block(case)]
    return MemoryPhase("at the end of the backward pass", tuple(parts))


def _optimizer_step(case: Case) -> MemoryPhase:
    """The optimiser updates the largest parameter."""
    matrix = case.training.dora.rank * max(map(max, case.adapted.values()))
    largest = max(case.new_row_parameters, matrix)
    match case.training.optimizer:
        case "sophia":
            # The average, the curvature, the update, its magnitude, and the mask of what is clipped.
            part = _temporary(case, largest, 4 * FLOAT_BYTES + 1)
        case "adamw" if case.device == "cuda":  # there all parameters of a group are updated together
            group = max(case.lora_parameters, case.shape.embedding_matrices * case.new_row_parameters)
            part = _temporary(case, group, FLOAT_BYTES)
        case "muon" if case.device == "cuda":
            rows = _temporary(case, case.shape.embedding_matrices * case.new_row_parameters, FLOAT_BYTES)
            part = max(rows, _temporary(case, matrix, 3 * FLOAT_BYTES), key=lambda part: part.bytes)
        case "adamw" | "muon":
            part = _temporary(case, largest, 3 * FLOAT_BYTES)
        case _:
            assert_never(case.training.optimizer)
    if case.shared_features:
        map_ = case.map_parameters // case.shape.embedding_matrices
        part = max(part, _temporary(case, map_, 3 * FLOAT_BYTES), key=lambda part: part.bytes)
    return MemoryPhase("in the optimiser's step", (gradients(case), part))


def _norms(case: Case) -> MemoryPhase:
    """The norms are refreshed, some rows of W + s B A at a time."""
    weights = max(min(WEIGHTS_PER_CHUNK, narrow * wide) for narrow, wide in case.adapted.values())
    width = FLOAT_BYTES * (1 + case.uses_bf16)
    part = Part("rows of W + s B A", weights * width, f"{weights:,} numbers at a time x {width} bytes")
    return MemoryPhase("as the norms are refreshed", (gradients(case), part))


def _evaluation(case: Case) -> MemoryPhase:
    """Held-out windows are measured: one block, or the logits after the last one, whichever is larger."""
    tokens = case.evaluation.batch_size * case.evaluation.context
    size = block_evaluation(case, tokens)
    block = Part("a block", size, f"{tokens:,} tokens x {size // tokens:,} bytes")
    states = 2 * case.bytes_per_number * case.shape.hidden
    after = [_logits(case, min(case.logits_chunk, tokens)), _per_token(case, "hidden states", states, tokens)]
    if case.uses_bf16:
        after.append(
            _temporary(case, case.new_row_parameters, case.bytes_per_number, "new embeddings in bf16")
        )
    parts = after if total(after) > block.bytes else [block]
    return MemoryPhase(EVALUATION, (*_gathered(case), *parts))


def _saved_activations(case: Case) -> list[Part]:
    """What the forward pass through all blocks keeps for the backward pass."""
    layers = case.shape.layers
    if case.training.activation_checkpointing:
        what = f"{layers} x {case.tokens:,} tokens x {case.shape.hidden:,} x {case.bytes_per_number} bytes"
        return [Part("block inputs", layers * block_input(case), what)]
    return [
        Part(part.name, layers * part.bytes, f"{layers} blocks x {part.formula}")
        for part in block_activations(case)
    ]


def _outside_blocks(case: Case) -> Part:
    """What is kept outside the blocks: ids, rotary embeddings, mask, input embeddings, the last norm."""
    settings, width = case.training, case.bytes_per_number
    embedded = width * (case.uses_bf16 and not settings.activation_checkpointing)
    size = 2 * width * case.shape.head_dim + settings.sequence_length * case.has_attention_mask
    size += 3 * _ID_BYTES + 9 + case.shape.hidden * (FLOAT_BYTES + embedded)
    part = _per_token(case, "ids, mask, rotary, last norm", size)
    if case.device == "cuda":
        return part
    # On a CPU the ids of all micro-batches of the step are in the same memory.
    batches = case.tokens_per_step * 3 * _ID_BYTES
    return Part(part.name, part.bytes + batches, f"{part.formula} + {batches:,}")


def _accumulated_gradients(case: Case) -> list[Part]:
    """Gradients that earlier micro-batches of the step have accumulated."""
    return [gradients(case)] if case.micro_batches > 1 else []


def _output_row_gradient(case: Case) -> Part:
    what = f"{case.new_rows:,} x {case.shape.hidden:,} x {FLOAT_BYTES} bytes"
    return Part("gradient of the output embeddings", case.new_row_parameters * FLOAT_BYTES, what)


def _block(case: Case) -> Part:
    return _per_token(case, "backward pass of a block", block_backward(case) // case.tokens)


def _logits(case: Case, tokens: int) -> Part:
    size = FLOAT_BYTES + case.bytes_per_number * case.uses_bf16
    what = f"{tokens:,} tokens x {case.total_rows:,} rows x {size} bytes"
    return Part("logits of a chunk", tokens * case.total_rows * size, what)


def _per_token(case: Case, name: str, size: int, tokens: int = 0) -> Part:
    count = tokens or case.tokens
    return Part(name, count * size, f"{count:,} tokens x {size:,} bytes")


def _temporary(case: Case, parameter_count: int, width: int, name: str = "temporary values") -> Part:
    return _sharded(case, name, parameter_count, width, f"{parameter_count:,} numbers at a time")


def _sharded(case: Case, name: str, parameter_count: int, width: int, what: str) -> Part:
    """A part that is sharded over the GPUs, as one of them holds it."""
    shards = f" / {case.shard_count} GPUs" if case.shard_count > 1 else ""
    return Part(name, -(-parameter_count // case.shard_count) * width, f"{what} x {width} bytes{shards}")


def _gathered(case: Case) -> list[Part]:
    """The full tensors that each of several GPUs gathers for a pass, and full gradients of the new rows."""
    if case.shard_count == 1:
        return []
    shape = case.shape
    rows = shape.embedding_matrices * (
        shape.rows * shape.hidden * case.bytes_per_number + 2 * case.new_row_parameters * FLOAT_BYTES
    )
    adapters = (case.lora_parameters + case.magnitude_parameters) * FLOAT_BYTES
    block = (shape.linear_parameters * case.bytes_per_number + adapters) // shape.layers
    return [
        Part("embedding matrices, gathered", rows, "all rows, and gradients of the new ones"),
        Part("blocks, gathered", 2 * block, f"2 x {block:,} bytes"),
    ]
