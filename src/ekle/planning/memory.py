"""What is in memory during training, by formula: what always is, and the phases that need most on top.

Counted are the bytes of tensors, in the order in which the engine makes and drops them. What a GPU takes
besides, its context and the gaps between tensors, are assumptions of `ekle.planning.plan`.

Several GPUs (FSDP2) each hold their share of everything that has rows, and for a pass the row matrices and
two blocks as a whole: the one that is at work, and the next.

The activations of a block follow the engine: DoRA's autograd function keeps its input, its output and x A^T;
RMSNorm is made in float32, so that in bfloat16 it keeps a copy twice as wide; packed sequences have a mask,
with which attention repeats keys and values for every head and keeps the mask in the precision of the
products.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from ekle.model.chunk_sizes import WEIGHTS_PER_CHUNK
from ekle.planning.case import Case


@dataclass(frozen=True)
class Part:
    """Something that takes memory or room on the disk."""

    name: str
    bytes: int
    formula: str
    """How the bytes come about, in words and numbers."""


@dataclass(frozen=True)
class MemoryPhase:
    """A moment of training, and what is in memory then besides what always is."""

    name: str
    parts: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """All parts together."""
        return total(self.parts)


def total(parts: Iterable[Part]) -> int:
    """Bytes of all parts together."""
    return sum(part.bytes for part in parts)


_FLOAT_BYTES = 4


def block_activations(case: Case) -> list[Part]:
    """Bytes that one block keeps for a micro-batch."""
    shape, width, adapted = case.shape, case.width, case.adapted
    inputs_kept = any(name in adapted for name in ("q_proj", "k_proj", "v_proj"))
    gates_kept = any(name in adapted for name in ("gate_proj", "up_proj"))
    # In float32 the residual stream itself is kept, in bfloat16 a float32 copy of it.
    norms = 2 * _FLOAT_BYTES * (shape.hidden + 1) + width * shape.hidden * (inputs_kept + gates_kept)
    scores = 0
    for name, size, heads in (
        ("q_proj", shape.queries, shape.heads),
        ("k_proj", shape.keys, shape.key_value_heads),
    ):
        scores += width * size if name in adapted or not case.uses_bf16 else 0
        scores += _FLOAT_BYTES * (size * case.uses_bf16 + heads)
    scores += width * shape.keys * ("v_proj" in adapted)
    # Turned queries, repeated keys and values, the output and the log of each softmax's sum.
    repeated = case.has_attention_mask and shape.heads != shape.key_value_heads
    turned = 3 * shape.queries if repeated else 2 * shape.queries + shape.keys * ("v_proj" not in adapted)
    attention = width * (turned + shape.queries) + _FLOAT_BYTES * shape.heads
    attention += width * shape.hidden * ("o_proj" in adapted)
    gated = width * shape.intermediate * (3 + ("down_proj" in adapted))
    gated += width * shape.hidden * ("down_proj" in adapted)
    narrow = width * case.training.dora.rank * len(adapted)
    mask = width * case.training.sequence_length * case.has_attention_mask
    tokens = case.tokens
    return [
        Part("norms and their outputs", tokens * norms, f"{tokens:,} tokens x {norms:,} bytes"),
        Part("queries, keys, values", tokens * scores, f"{tokens:,} tokens x {scores:,} bytes"),
        Part("attention", tokens * (attention + mask), f"{tokens:,} tokens x {attention + mask:,} bytes"),
        Part("gated product", tokens * gated, f"{tokens:,} tokens x {gated:,} bytes"),
        Part("x A^T of the adapters", tokens * narrow, f"{tokens:,} tokens x {narrow:,} bytes"),
    ]


def block_input(case: Case) -> int:
    """Bytes of a block's input: all that is kept of a block with activation checkpointing."""
    return case.tokens * case.width * case.shape.hidden


def block_backward(case: Case) -> int:
    """Bytes that a block's backward pass needs beyond what is kept, where it needs most.

    That is at the gated product: the gradients of it and of both its factors, less what is freed by then.
    """
    shape, down = case.shape, "down_proj" in case.adapted
    freed = down * (shape.intermediate + shape.hidden + case.training.dora.rank)
    return case.tokens * case.width * (3 * shape.intermediate + shape.hidden - freed)


def block_evaluation(case: Case, tokens: int) -> int:
    """Bytes that a block holds at once in an evaluation, where nothing is kept."""
    shape = case.shape
    gated = case.width * (3 * shape.intermediate + 2 * shape.hidden)
    attending = case.width * (5 * shape.queries + 2 * shape.hidden)
    return tokens * (max(gated, attending) + case.width * case.evaluation.context)


EVALUATION = "in an evaluation"
"""The one moment that is no part of a step."""
_FLOAT = 4  # what learns, its gradients and the norms are float32
_ID = 8


def persistent(case: Case) -> list[Part]:
    """What stays from the first step to the last."""
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
            case.width,
            f"{shape.parameter_count:,} numbers of the base",
        ),
        _sharded(case, "new rows", shape.embedding_matrices * case.new_row_parameters, _FLOAT, rows),
        _sharded(
            case,
            "adapters",
            case.lora_parameters + case.magnitude_parameters,
            _FLOAT,
            f"{blocks} x ({rank} x {sides:,} + {outs:,})",
        ),
        optimizer_state(case),
        Part(
            "norms of W + s B A", case.magnitude_parameters * _FLOAT, f"{blocks} x {outs:,} x {_FLOAT} bytes"
        ),
        Part("bytes of each token", case.total_rows * _ID, f"{case.total_rows:,} rows x {_ID} bytes"),
    ]
    if case.device == "cpu":  # there the rows as they were loaded are not left behind
        loaded = shape.embedding_matrices * case.new_row_parameters * case.width
        parts.append(Part("new rows as loaded", loaded, f"{rows} x {case.width} bytes"))
    return parts


def optimizer_state(case: Case) -> Part:
    """What the optimiser keeps for each number that learns."""
    width = 2 if case.training.state_precision == "bf16" else _FLOAT
    name, other = "state of the optimiser", case.learning - case.lora_parameters
    match case.training.optimizer:
        case "sophia":
            what = f"momentum and curvature, 2 x {case.learning:,}"
            return _sharded(case, name, 2 * case.learning, width, what)
        case "adamw":
            return _sharded(case, name, 2 * case.learning, width, f"two averages, 2 x {case.learning:,}")
        case "muon":
            what = f"one average of A and B, two of the rest, {case.lora_parameters:,} + 2 x {other:,}"
            return _sharded(case, name, case.lora_parameters + 2 * other, width, what)
        case _:
            assert_never(case.training.optimizer)


def gradients(case: Case) -> Part:
    """Gradients of all that learns."""
    return _sharded(case, "gradients", case.learning, _FLOAT, f"{case.learning:,} numbers")


def phases(case: Case) -> list[MemoryPhase]:
    """The moments of a step at which most is in memory, in their order."""
    found = [_loss(case), _backward(case)]
    if case.passes == 1:  # gradients grow while activations go, so the end of the way counts as well
        found.append(_first_block(case))
    return [*found, _optimizer_step(case), _norms(case), _evaluation(case)]


def _loss(case: Case) -> MemoryPhase:
    """The forward pass is through, and the loss makes its gradients chunk by chunk."""
    hidden, width = case.shape.hidden, case.width
    parts = [
        *_gathered(case),
        *_accumulated_gradients(case),
        *_saved_activations(case),
        _outside_blocks(case),
        _logits(case, case.logits_chunk),
        Part(
            "states and their gradient",
            case.tokens * (2 * width * hidden + 12),
            f"{case.tokens:,} tokens x (2 x {hidden:,} x {width} + 12) bytes",
        ),
        _output_row_gradient(case),
    ]
    if case.uses_bf16:
        copies = 2 * case.new_row_parameters * width
        parts.append(Part("new rows in bf16", copies, f"2 x {case.new_rows:,} x {hidden:,} x {width} bytes"))
    return MemoryPhase("at the loss", tuple(parts))


def _backward(case: Case) -> MemoryPhase:
    """The backward pass is at the last norm, or enters the last block."""
    hidden = case.shape.hidden
    again = block_activations(case) if case.training.activation_checkpointing else []
    block, norm = _block(case), _per_token(case, "backward pass of the last norm", hidden * (20 + case.width))
    parts = [
        *_gathered(case),
        *_accumulated_gradients(case),
        *_saved_activations(case),
        _outside_blocks(case),
    ]
    if case.passes == 1:
        parts.append(_output_row_gradient(case))
    if total(again) + block.bytes > norm.bytes:
        parts += [Part(f"{part.name}, again", part.bytes, part.formula) for part in again]
        parts.append(block)
    else:
        parts.append(norm)
    return MemoryPhase("in the backward pass", tuple(parts))


def _first_block(case: Case) -> MemoryPhase:
    """The backward pass enters the first block, the last on its way."""
    parts = [*_gathered(case), gradients(case), *block_activations(case), _block(case)]
    return MemoryPhase("at the end of the backward pass", tuple(parts))


def _optimizer_step(case: Case) -> MemoryPhase:
    """The optimiser moves the largest parameter."""
    matrix = case.training.dora.rank * max(map(max, case.adapted.values()))
    largest = max(case.new_row_parameters, matrix)
    match case.training.optimizer:
        case "sophia":
            # The average, the curvature, the update, its size, and what is clipped.
            part = _temporary(case, largest, 4 * _FLOAT + 1)
        case "adamw" if case.device == "cuda":  # there all parameters of a group move at once
            group = max(case.lora_parameters, case.shape.embedding_matrices * case.new_row_parameters)
            part = _temporary(case, group, _FLOAT)
        case "muon" if case.device == "cuda":
            rows = _temporary(case, case.shape.embedding_matrices * case.new_row_parameters, _FLOAT)
            part = max(rows, _temporary(case, matrix, 3 * _FLOAT), key=lambda part: part.bytes)
        case "adamw" | "muon":
            part = _temporary(case, largest, 3 * _FLOAT)
        case _:
            assert_never(case.training.optimizer)
    return MemoryPhase("in the optimiser's step", (gradients(case), part))


def _norms(case: Case) -> MemoryPhase:
    """The norms are refreshed, some rows of W + s B A at a time."""
    cells = max(min(WEIGHTS_PER_CHUNK, narrow * wide) for narrow, wide in case.adapted.values())
    width = _FLOAT * (1 + case.uses_bf16)
    part = Part("rows of W + s B A", cells * width, f"{cells:,} numbers at once x {width} bytes")
    return MemoryPhase("as the norms are refreshed", (gradients(case), part))


def _evaluation(case: Case) -> MemoryPhase:
    """Held-out windows are read: a block, or the logits behind the last one, whichever is more."""
    tokens = case.evaluation.batch_size * case.evaluation.context
    size = block_evaluation(case, tokens)
    block = Part("a block", size, f"{tokens:,} tokens x {size // tokens:,} bytes")
    states = 2 * case.width * case.shape.hidden
    behind = [_logits(case, min(case.logits_chunk, tokens)), _per_token(case, "states", states, tokens)]
    if case.uses_bf16:
        behind.append(_temporary(case, case.new_row_parameters, case.width, "new rows in bf16"))
    parts = behind if total(behind) > block.bytes else [block]
    return MemoryPhase(EVALUATION, (*_gathered(case), *parts))


def _saved_activations(case: Case) -> list[Part]:
    """What the forward pass through all blocks leaves behind."""
    layers = case.shape.layers
    if case.training.activation_checkpointing:
        what = f"{layers} x {case.tokens:,} tokens x {case.shape.hidden:,} x {case.width} bytes"
        return [Part("inputs of the blocks", layers * block_input(case), what)]
    return [
        Part(part.name, layers * part.bytes, f"{layers} blocks x {part.formula}")
        for part in block_activations(case)
    ]


def _outside_blocks(case: Case) -> Part:
    """What is kept before and behind the blocks: ids, turns, mask, embeddings, the last norm."""
    settings, width = case.training, case.width
    embedded = width * (case.uses_bf16 and not settings.activation_checkpointing)
    size = 2 * width * case.shape.head_dim + settings.sequence_length * case.has_attention_mask + 3 * _ID + 9
    part = _per_token(case, "ids, mask, turns, last norm", size + case.shape.hidden * (_FLOAT + embedded))
    if case.device == "cuda":
        return part
    batches = case.tokens_per_step * 3 * _ID  # of the whole step, in the same memory there
    return Part(part.name, part.bytes + batches, f"{part.formula} + {batches:,}")


def _accumulated_gradients(case: Case) -> list[Part]:
    """Gradients that earlier micro-batches of the step have left."""
    return [gradients(case)] if case.passes > 1 else []


def _output_row_gradient(case: Case) -> Part:
    what = f"{case.new_rows:,} x {case.shape.hidden:,} x {_FLOAT} bytes"
    return Part("gradient of the output rows", case.new_row_parameters * _FLOAT, what)


def _block(case: Case) -> Part:
    return _per_token(case, "backward pass of a block", block_backward(case) // case.tokens)


def _logits(case: Case, tokens: int) -> Part:
    cell = _FLOAT + case.width * case.uses_bf16
    what = f"{tokens:,} tokens x {case.total_rows:,} rows x {cell} bytes"
    return Part("logits of a chunk", tokens * case.total_rows * cell, what)


def _per_token(case: Case, name: str, size: int, tokens: int = 0) -> Part:
    count = tokens or case.tokens
    return Part(name, count * size, f"{count:,} tokens x {size:,} bytes")


def _temporary(case: Case, parameter_count: int, width: int, name: str = "temporary values") -> Part:
    return _sharded(case, name, parameter_count, width, f"{parameter_count:,} numbers at once")


def _sharded(case: Case, name: str, parameter_count: int, width: int, what: str) -> Part:
    """Something of which every GPU has its part."""
    among = f" / {case.shard_count} GPUs" if case.shard_count > 1 else ""
    return Part(name, -(-parameter_count // case.shard_count) * width, f"{what} x {width} bytes{among}")


def _gathered(case: Case) -> list[Part]:
    """What several GPUs put together for a pass, and the gradients of the rows before they are spread."""
    if case.shard_count == 1:
        return []
    shape = case.shape
    rows = shape.embedding_matrices * (
        shape.rows * shape.hidden * case.width + 2 * case.new_row_parameters * _FLOAT
    )
    learning = (case.lora_parameters + case.magnitude_parameters) * _FLOAT
    block = (shape.linear_parameters * case.width + learning) // shape.layers
    return [
        Part("row matrices, put together", rows, "all rows, and gradients of the new ones"),
        Part("blocks, put together", 2 * block, f"2 x {block:,} bytes"),
    ]
