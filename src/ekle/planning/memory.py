"""What is in memory during training, by formula: what always is, and the moments that need most on top.

Counted are the bytes of tensors, in the order in which the engine makes and drops them. What a GPU takes
besides, its context and the gaps between tensors, are assumptions of `ekle.planning.plan`.
"""

from typing import assert_never

from ekle.model.chunks import WEIGHT_CELLS
from ekle.planning.activations import (
    backward_of_block,
    input_of_block,
    kept_by_block,
    read_by_block,
)
from ekle.planning.case import Case
from ekle.planning.parts import Moment, Part, total

_FLOAT = 4  # what learns, its gradients and the norms are float32
_ID = 8


def always(case: Case) -> list[Part]:
    """What stays from the first step to the last."""
    shape, rank = case.shape, case.training.dora.rank
    sides = sum(narrow + wide for narrow, wide in case.adapted.values())
    outs = sum(wide for _, wide in case.adapted.values())
    rows = f"{shape.row_matrices} x {case.new_rows:,} x {shape.hidden:,}"
    parts = [
        Part(
            "frozen weights",
            shape.numbers * case.width,
            f"{shape.numbers:,} numbers of the base x {case.width} bytes",
        ),
        Part("new rows", shape.row_matrices * case.row_numbers * _FLOAT, f"{rows} x {_FLOAT} bytes"),
        Part(
            "adapters",
            (case.matrix_numbers + case.magnitude_numbers) * _FLOAT,
            f"{shape.layers} blocks x ({rank} x {sides:,} + {outs:,}) x {_FLOAT} bytes",
        ),
        _state(case),
        Part(
            "norms of W + s B A",
            case.magnitude_numbers * _FLOAT,
            f"{shape.layers} blocks x {outs:,} x {_FLOAT} bytes",
        ),
        Part("bytes of each token", case.all_rows * _ID, f"{case.all_rows:,} rows x {_ID} bytes"),
    ]
    if case.device == "cpu":  # there the rows as they were loaded are not left behind
        loaded = shape.row_matrices * case.row_numbers * case.width
        parts.append(Part("new rows as loaded", loaded, f"{rows} x {case.width} bytes"))
    return parts


def gradients(case: Case) -> Part:
    """Gradients of all that learns."""
    return Part("gradients", case.learning * _FLOAT, f"{case.learning:,} numbers x {_FLOAT} bytes")


def moments(case: Case) -> list[Moment]:
    """The moments of a step at which most is in memory, in their order."""
    found = [_loss(case), _backward(case)]
    if case.passes == 1:  # gradients grow while activations go, so the end of the way counts as well
        found.append(_last_block(case))
    found += [_step(case), _norms(case)]
    if case.training.evaluate_bytes:
        found.append(_evaluation(case))
    return found


def _state(case: Case) -> Part:
    width = 2 if case.training.state_precision == "bf16" else _FLOAT
    match case.training.optimizer:
        case "sophia":
            what = f"momentum and curvature, {case.learning:,} x 2 x {width} bytes"
        case "adamw":
            what = f"two averages, {case.learning:,} x 2 x {width} bytes"
        case _:
            assert_never(case.training.optimizer)
    return Part("state of the optimiser", case.learning * 2 * width, what)


def _kept(case: Case) -> list[Part]:
    """What the forward pass through all blocks leaves behind."""
    layers = case.shape.layers
    if case.training.activation_checkpointing:
        size = input_of_block(case)
        what = f"{layers} x {case.tokens:,} tokens x {case.shape.hidden:,} x {case.width} bytes"
        return [Part("inputs of the blocks", layers * size, what)]
    return [
        Part(part.name, layers * part.bytes, f"{layers} blocks x {part.formula}")
        for part in kept_by_block(case)
    ]


def _ends(case: Case) -> Part:
    """What is kept before and behind the blocks: ids, turns, mask, embeddings, the last norm."""
    shape, width, tokens = case.shape, case.width, case.tokens
    a_token = 2 * width * shape.head_dim + case.training.sequence_length + 3 * _ID + 9
    a_token += shape.hidden * (_FLOAT + width * (case.half and not case.training.activation_checkpointing))
    loaded = case.step_tokens * 3 * _ID if case.device == "cpu" else 0
    return Part(
        "ids, mask, turns, last norm",
        tokens * a_token + loaded,
        f"{tokens:,} tokens x {a_token:,} bytes" + (f" + {loaded:,}" if loaded else ""),
    )


def _loss(case: Case) -> Moment:
    """The forward pass is through, and the loss makes its gradients chunk by chunk."""
    hidden, width = case.shape.hidden, case.width
    cell = width + _FLOAT if case.half else _FLOAT
    logits = case.chunk * case.all_rows * cell
    parts = [
        *_earlier(case),
        *_kept(case),
        _ends(case),
        Part("logits of a chunk", logits, f"{case.chunk:,} tokens x {case.all_rows:,} rows x {cell} bytes"),
        Part(
            "states and their gradient",
            case.tokens * (2 * width * hidden + 12),
            f"{case.tokens:,} tokens x (2 x {hidden:,} x {width} + 12) bytes",
        ),
        _fresh_rows(case),
    ]
    if case.half:
        copies = 2 * case.row_numbers * width
        parts.append(Part("new rows in bf16", copies, f"2 x {case.new_rows:,} x {hidden:,} x {width} bytes"))
    return Moment("at the loss", tuple(parts))


def _earlier(case: Case) -> list[Part]:
    """Gradients that earlier micro-batches of the step have left."""
    return [gradients(case)] if case.passes > 1 else []


def _fresh_rows(case: Case) -> Part:
    what = f"{case.new_rows:,} x {case.shape.hidden:,} x {_FLOAT} bytes"
    return Part("gradient of the output rows", case.row_numbers * _FLOAT, what)


def _backward(case: Case) -> Moment:
    """The backward pass enters the last block, after the last norm."""
    tokens, hidden = case.tokens, case.shape.hidden
    block = backward_of_block(case)
    again = kept_by_block(case) if case.training.activation_checkpointing else []
    norm = tokens * hidden * (5 * _FLOAT + case.width)
    parts = [*_earlier(case), *_kept(case), _ends(case)]
    if case.passes == 1:
        parts.append(_fresh_rows(case))
    if total(again) + block > norm:
        parts += [Part(f"{part.name}, again", part.bytes, part.formula) for part in again]
        parts.append(
            Part("backward pass of a block", block, f"{tokens:,} tokens x {block // tokens:,} bytes")
        )
    else:
        what = f"{tokens:,} tokens x {hidden:,} x {norm // tokens // hidden} bytes"
        parts.append(Part("backward pass of the last norm", norm, what))
    return Moment("in the backward pass", tuple(parts))


def _last_block(case: Case) -> Moment:
    """The backward pass enters the first block, the last on its way."""
    block = backward_of_block(case)
    parts = [
        gradients(case),
        *kept_by_block(case),
        Part("backward pass of a block", block, f"{case.tokens:,} tokens x {block // case.tokens:,} bytes"),
    ]
    return Moment("at the end of the backward pass", tuple(parts))


def _step(case: Case) -> Moment:
    """The optimiser moves the largest parameter."""
    rank = case.training.dora.rank
    matrices = [rank * max(size) for size in case.adapted.values()]
    largest = max(case.row_numbers, *matrices)
    match case.training.optimizer:
        case "sophia":
            # Average, curvature, update, its size and which are clipped; in bf16 the chance of rounding.
            factor = 4 * _FLOAT + 1
            what = f"the largest parameter, {largest:,} numbers x {factor} bytes"
            temporary = largest * factor
        case "adamw":
            if case.device == "cuda":  # all parameters of a group at once
                temporary = max(case.matrix_numbers, case.shape.row_matrices * case.row_numbers) * _FLOAT
                what = (
                    f"a root for each number of the largest group, {temporary // _FLOAT:,} x {_FLOAT} bytes"
                )
            else:
                temporary, what = (
                    largest * 2 * _FLOAT,
                    f"the largest parameter, {largest:,} numbers x 8 bytes",
                )
        case _:
            assert_never(case.training.optimizer)
    return Moment("in the optimiser's step", (gradients(case), Part("temporary values", temporary, what)))


def _norms(case: Case) -> Moment:
    """The norms are refreshed, some rows of W + s B A at a time."""
    cells = max(min(WEIGHT_CELLS, narrow * wide) for narrow, wide in case.adapted.values())
    copies = 1 + case.half
    part = Part(
        "rows of W + s B A", cells * copies * _FLOAT, f"{cells:,} numbers x {copies} x {_FLOAT} bytes"
    )
    return Moment("as the norms are refreshed", (gradients(case), part))


def _evaluation(case: Case) -> Moment:
    """Held-out windows are read."""
    windows, context = case.evaluation.batch_size, case.evaluation.context
    tokens, width = windows * context, case.width
    block = read_by_block(case, tokens)
    cell = width + _FLOAT if case.half else _FLOAT
    chunk = min(case.chunk, tokens)
    logits = chunk * case.all_rows * cell + 2 * tokens * case.shape.hidden * width
    logits += case.row_numbers * width if case.half else 0
    if block >= logits:
        part = Part("a block", block, f"{windows} x {context:,} tokens x {block // tokens:,} bytes")
    else:
        what = f"{chunk:,} tokens x {case.all_rows:,} rows x {cell} bytes, and the states"
        part = Part("logits of a chunk", logits, what)
    return Moment("in an evaluation", (part,))
