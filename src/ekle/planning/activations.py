"""What one block keeps for its backward pass, tensor by tensor, and what that pass needs on top.

The formulas follow the engine: DoRA's autograd function keeps its input, its output and x A^T; RMSNorm is
made in float32, so that in bfloat16 it keeps a copy twice as wide; packed sequences have a mask, with which
attention repeats keys and values for every head and keeps the mask in the precision of the products.
"""

from ekle.planning.case import Case
from ekle.planning.parts import Part

_FLOAT = 4


def kept_by_block(case: Case) -> list[Part]:
    """Bytes that one block keeps for a micro-batch."""
    shape, width, adapted = case.shape, case.width, case.adapted
    inputs_kept = any(name in adapted for name in ("q_proj", "k_proj", "v_proj"))
    gates_kept = any(name in adapted for name in ("gate_proj", "up_proj"))
    # In float32 the residual stream itself is kept, in bfloat16 a float32 copy of it.
    norms = 2 * _FLOAT * (shape.hidden + 1) + width * shape.hidden * (inputs_kept + gates_kept)
    scores = 0
    for name, size, heads in (
        ("q_proj", shape.queries, shape.heads),
        ("k_proj", shape.keys, shape.key_value_heads),
    ):
        scores += width * size if name in adapted or not case.half else 0
        scores += _FLOAT * (size * case.half + heads)
    scores += width * shape.keys * ("v_proj" in adapted)
    # Turned queries, repeated keys and values, the output and the log of each softmax's sum.
    repeated = case.masked and shape.heads != shape.key_value_heads
    turned = 3 * shape.queries if repeated else 2 * shape.queries + shape.keys * ("v_proj" not in adapted)
    attention = width * (turned + shape.queries) + _FLOAT * shape.heads
    attention += width * shape.hidden * ("o_proj" in adapted)
    gated = width * shape.intermediate * (3 + ("down_proj" in adapted))
    gated += width * shape.hidden * ("down_proj" in adapted)
    narrow = width * case.training.dora.rank * len(adapted)
    mask = width * case.training.sequence_length * case.masked
    tokens = case.tokens
    return [
        Part("norms and their outputs", tokens * norms, f"{tokens:,} tokens x {norms:,} bytes"),
        Part("queries, keys, values", tokens * scores, f"{tokens:,} tokens x {scores:,} bytes"),
        Part("attention", tokens * (attention + mask), f"{tokens:,} tokens x {attention + mask:,} bytes"),
        Part("gated product", tokens * gated, f"{tokens:,} tokens x {gated:,} bytes"),
        Part("x A^T of the adapters", tokens * narrow, f"{tokens:,} tokens x {narrow:,} bytes"),
    ]


def input_of_block(case: Case) -> int:
    """Bytes of a block's input: all that is kept of a block with activation checkpointing."""
    return case.tokens * case.width * case.shape.hidden


def backward_of_block(case: Case) -> int:
    """Bytes that a block's backward pass needs beyond what is kept, where it needs most.

    That is at the gated product: the gradients of it and of both its factors, less what is freed by then.
    """
    shape, down = case.shape, "down_proj" in case.adapted
    freed = down * (shape.intermediate + shape.hidden + case.training.dora.rank)
    return case.tokens * case.width * (3 * shape.intermediate + shape.hidden - freed)


def read_by_block(case: Case, tokens: int) -> int:
    """Bytes that a block holds at once in an evaluation, where nothing is kept."""
    shape = case.shape
    gated = case.width * (3 * shape.intermediate + 2 * shape.hidden)
    attending = case.width * (5 * shape.queries + 2 * shape.hidden)
    return tokens * (max(gated, attending) + case.width * case.evaluation.context)
