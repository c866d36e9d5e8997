"""What is in memory during training, by formula: what always is, and the moments that need most on top.

Counted are the bytes of tensors, in the order in which the engine makes and drops them. What a GPU takes
besides, its context and the gaps between tensors, are assumptions of `ekle.planning.plan`.

Several GPUs (FSDP2) each hold their share of everything that has rows, and for a pass the row matrices and
two blocks as a whole: the one that is at work, and the next.
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

EVALUATION = "in an evaluation"
"""The one moment that is no part of a step."""
_FLOAT = 4  # what learns, its gradients and the norms are float32
_ID = 8


def always(case: Case) -> list[Part]:
    """What stays from the first step to the last."""
    shape, rank = case.shape, case.training.dora.rank
    sides = sum(narrow + wide for narrow, wide in case.adapted.values())
    outs = sum(wide for _, wide in case.adapted.values())
    rows = f"{shape.row_matrices} x {case.new_rows:,} x {shape.hidden:,}"
    blocks = f"{shape.layers} blocks"
    parts = [
        _shared(case, "frozen weights", shape.numbers, case.width, f"{shape.numbers:,} numbers of the base"),
        _shared(case, "new rows", shape.row_matrices * case.row_numbers, _FLOAT, rows),
        _shared(
            case,
            "adapters",
            case.matrix_numbers + case.magnitude_numbers,
            _FLOAT,
            f"{blocks} x ({rank} x {sides:,} + {outs:,})",
        ),
        optimizer_state(case),
        Part("norms of W + s B A", case.magnitude_numbers * _FLOAT, f"{blocks} x {outs:,} x {_FLOAT} bytes"),
        Part("bytes of each token", case.all_rows * _ID, f"{case.all_rows:,} rows x {_ID} bytes"),
    ]
    if case.device == "cpu":  # there the rows as they were loaded are not left behind
        loaded = shape.row_matrices * case.row_numbers * case.width
        parts.append(Part("new rows as loaded", loaded, f"{rows} x {case.width} bytes"))
    return parts


def optimizer_state(case: Case) -> Part:
    """What the optimiser keeps for each number that learns."""
    width = 2 if case.training.state_precision == "bf16" else _FLOAT
    name, other = "state of the optimiser", case.learning - case.matrix_numbers
    match case.training.optimizer:
        case "sophia":
            what = f"momentum and curvature, 2 x {case.learning:,}"
            return _shared(case, name, 2 * case.learning, width, what)
        case "adamw":
            return _shared(case, name, 2 * case.learning, width, f"two averages, 2 x {case.learning:,}")
        case "muon":
            what = f"one average of A and B, two of the rest, {case.matrix_numbers:,} + 2 x {other:,}"
            return _shared(case, name, case.matrix_numbers + 2 * other, width, what)
        case _:
            assert_never(case.training.optimizer)


def gradients(case: Case) -> Part:
    """Gradients of all that learns."""
    return _shared(case, "gradients", case.learning, _FLOAT, f"{case.learning:,} numbers")


def moments(case: Case) -> list[Moment]:
    """The moments of a step at which most is in memory, in their order."""
    found = [_loss(case), _backward(case)]
    if case.passes == 1:  # gradients grow while activations go, so the end of the way counts as well
        found.append(_first_block(case))
    return [*found, _step(case), _norms(case), _evaluation(case)]


def _loss(case: Case) -> Moment:
    """The forward pass is through, and the loss makes its gradients chunk by chunk."""
    hidden, width = case.shape.hidden, case.width
    parts = [
        *_gathered(case),
        *_earlier(case),
        *_kept(case),
        _ends(case),
        _logits(case, case.chunk),
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


def _backward(case: Case) -> Moment:
    """The backward pass is at the last norm, or enters the last block."""
    hidden = case.shape.hidden
    again = kept_by_block(case) if case.training.activation_checkpointing else []
    block, norm = _block(case), _a_token(case, "backward pass of the last norm", hidden * (20 + case.width))
    parts = [*_gathered(case), *_earlier(case), *_kept(case), _ends(case)]
    if case.passes == 1:
        parts.append(_fresh_rows(case))
    if total(again) + block.bytes > norm.bytes:
        parts += [Part(f"{part.name}, again", part.bytes, part.formula) for part in again]
        parts.append(block)
    else:
        parts.append(norm)
    return Moment("in the backward pass", tuple(parts))


def _first_block(case: Case) -> Moment:
    """The backward pass enters the first block, the last on its way."""
    parts = [*_gathered(case), gradients(case), *kept_by_block(case), _block(case)]
    return Moment("at the end of the backward pass", tuple(parts))


def _step(case: Case) -> Moment:
    """The optimiser moves the largest parameter."""
    matrix = case.training.dora.rank * max(map(max, case.adapted.values()))
    largest = max(case.row_numbers, matrix)
    match case.training.optimizer:
        case "sophia":
            # The average, the curvature, the update, its size, and what is clipped.
            part = _temporary(case, largest, 4 * _FLOAT + 1)
        case "adamw" if case.device == "cuda":  # there all parameters of a group move at once
            group = max(case.matrix_numbers, case.shape.row_matrices * case.row_numbers)
            part = _temporary(case, group, _FLOAT)
        case "muon" if case.device == "cuda":
            rows = _temporary(case, case.shape.row_matrices * case.row_numbers, _FLOAT)
            part = max(rows, _temporary(case, matrix, 3 * _FLOAT), key=lambda part: part.bytes)
        case "adamw" | "muon":
            part = _temporary(case, largest, 3 * _FLOAT)
        case _:
            assert_never(case.training.optimizer)
    return Moment("in the optimiser's step", (gradients(case), part))


def _norms(case: Case) -> Moment:
    """The norms are refreshed, some rows of W + s B A at a time."""
    cells = max(min(WEIGHT_CELLS, narrow * wide) for narrow, wide in case.adapted.values())
    width = _FLOAT * (1 + case.half)
    part = Part("rows of W + s B A", cells * width, f"{cells:,} numbers at once x {width} bytes")
    return Moment("as the norms are refreshed", (gradients(case), part))


def _evaluation(case: Case) -> Moment:
    """Held-out windows are read: a block, or the logits behind the last one, whichever is more."""
    tokens = case.evaluation.batch_size * case.evaluation.context
    size = read_by_block(case, tokens)
    block = Part("a block", size, f"{tokens:,} tokens x {size // tokens:,} bytes")
    states = 2 * case.width * case.shape.hidden
    behind = [_logits(case, min(case.chunk, tokens)), _a_token(case, "states", states, tokens)]
    if case.half:
        behind.append(_temporary(case, case.row_numbers, case.width, "new rows in bf16"))
    parts = behind if total(behind) > block.bytes else [block]
    return Moment(EVALUATION, (*_gathered(case), *parts))


def _kept(case: Case) -> list[Part]:
    """What the forward pass through all blocks leaves behind."""
    layers = case.shape.layers
    if case.training.activation_checkpointing:
        what = f"{layers} x {case.tokens:,} tokens x {case.shape.hidden:,} x {case.width} bytes"
        return [Part("inputs of the blocks", layers * input_of_block(case), what)]
    return [
        Part(part.name, layers * part.bytes, f"{layers} blocks x {part.formula}")
        for part in kept_by_block(case)
    ]


def _ends(case: Case) -> Part:
    """What is kept before and behind the blocks: ids, turns, mask, embeddings, the last norm."""
    settings, width = case.training, case.width
    embedded = width * (case.half and not settings.activation_checkpointing)
    size = 2 * width * case.shape.head_dim + settings.sequence_length * case.masked + 3 * _ID + 9
    part = _a_token(case, "ids, mask, turns, last norm", size + case.shape.hidden * (_FLOAT + embedded))
    if case.device == "cuda":
        return part
    batches = case.step_tokens * 3 * _ID  # of the whole step, in the same memory there
    return Part(part.name, part.bytes + batches, f"{part.formula} + {batches:,}")


def _earlier(case: Case) -> list[Part]:
    """Gradients that earlier micro-batches of the step have left."""
    return [gradients(case)] if case.passes > 1 else []


def _fresh_rows(case: Case) -> Part:
    what = f"{case.new_rows:,} x {case.shape.hidden:,} x {_FLOAT} bytes"
    return Part("gradient of the output rows", case.row_numbers * _FLOAT, what)


def _block(case: Case) -> Part:
    return _a_token(case, "backward pass of a block", backward_of_block(case) // case.tokens)


def _logits(case: Case, tokens: int) -> Part:
    cell = _FLOAT + case.width * case.half
    what = f"{tokens:,} tokens x {case.all_rows:,} rows x {cell} bytes"
    return Part("logits of a chunk", tokens * case.all_rows * cell, what)


def _a_token(case: Case, name: str, size: int, tokens: int = 0) -> Part:
    count = tokens or case.tokens
    return Part(name, count * size, f"{count:,} tokens x {size:,} bytes")


def _temporary(case: Case, numbers: int, width: int, name: str = "temporary values") -> Part:
    return _shared(case, name, numbers, width, f"{numbers:,} numbers at once")


def _shared(case: Case, name: str, numbers: int, width: int, what: str) -> Part:
    """Something of which every GPU has its part."""
    among = f" / {case.shares} GPUs" if case.shares > 1 else ""
    return Part(name, -(-numbers // case.shares) * width, f"{what} x {width} bytes{among}")


def _gathered(case: Case) -> list[Part]:
    """What several GPUs put together for a pass, and the gradients of the rows before they are spread."""
    if case.shares == 1:
        return []
    shape = case.shape
    rows = shape.row_matrices * (shape.rows * shape.hidden * case.width + 2 * case.row_numbers * _FLOAT)
    learning = (case.matrix_numbers + case.magnitude_numbers) * _FLOAT
    block = (shape.linear_numbers * case.width + learning) // shape.layers
    return [
        Part("row matrices, put together", rows, "all rows, and gradients of the new ones"),
        Part("blocks, put together", 2 * block, f"2 x {block:,} bytes"),
    ]
