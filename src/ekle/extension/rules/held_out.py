"""Text held out of what a rule learns from, and how well the base reads it with new rows.

A rule that learns keeps the best rows of its way by this measure, those that it began with included, so that
it never ends worse than it began.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS
from ekle.model.layers.loss import chunked_cross_entropy
from ekle.model.layers.new_rows import SplitEmbedding, SplitHead
from ekle.model.processes import Processes

LEAST_PARTS = 10
"""At most one part in so many of the text is held out."""
SEQUENCE_TOKENS = 256
"""Length of a packed sequence, the prefix token included."""
SEQUENCES_AT_ONCE = {"cpu": 4, "cuda": 16}
_POSITIONS_AT_ONCE = {"cpu": 256, "cuda": 1024}
"""Positions whose logits are in memory at a time."""


def split_held_out(texts: Sequence[str], size: int) -> tuple[list[str], list[str]]:
    """The first texts of about `size` bytes, or of a tenth of all, and the others; none of a single text."""
    if len(texts) < 2:
        return [], list(texts)
    size = min(size, sum(len(text.encode()) for text in texts) // LEAST_PARTS)
    taken = 0
    for number, text in enumerate(texts):
        taken += len(text.encode())
        if taken >= size or number == len(texts) - 2:
            return list(texts[: number + 1]), list(texts[number + 1 :])
    raise AssertionError("the loop ends before the last text")


def split_ends(
    base_rows: Tensor, base_head: Tensor, rows: Mapping[str, nn.Parameter]
) -> tuple[SplitEmbedding, SplitHead]:
    """Embedding and output layer of the base with new rows behind its own, which do not learn.

    Args:
        base_rows: input embeddings (V, D) of the base.
        base_head: its output embeddings (V, D).
        rows: the new rows (N, D) by the name of their matrix; one matrix where the ends are tied.
    """
    of_input = rows[INPUT_EMBEDDINGS]
    of_output = rows.get(OUTPUT_EMBEDDINGS, of_input)
    return SplitEmbedding(_frozen(base_rows), of_input), SplitHead(_frozen(base_head), of_output)


def _frozen(table: Tensor) -> nn.Parameter:
    return nn.Parameter(table.detach(), requires_grad=False)


def losses_of_sequences(
    decoder: Any, embedding: nn.Module, head: nn.Module, ids: Tensor, reduction: Literal["sum", "none"]
) -> Tensor:
    """Nats of each next token of packed sequences `ids` (B, T), which are on the device of the model.

    Returns:
        Their sum, a scalar with a gradient; or with "none" (B (T - 1),) of them without.
    """
    hidden = decoder(inputs_embeds=embedding(ids), use_cache=False).last_hidden_state
    labels = ids[:, 1:].flatten()
    chunk = _POSITIONS_AT_ONCE[ids.device.type]
    return chunked_cross_entropy(hidden[:, :-1].flatten(0, 1), head, labels, chunk, reduction)


@torch.no_grad()
def bits_per_byte(
    model: Any,
    rows: Mapping[str, Tensor] | None,
    sequences: Tensor,
    text_bytes: int,
    prefix_token: int,
    processes: Processes,
) -> float:
    """Bits per byte of packed sequences (B, T) whose text has `text_bytes` bytes.

    Args:
        model: the base, on its device.
        rows: the new rows (N, D) by the name of their matrix, one matrix where the ends are tied; None
            measures the base, whose tokenizer made the sequences.
        sequences: ids (`ekle.extension.rules.packing.packed_once`).
        text_bytes: bytes of the text in them.
        prefix_token: its id; at the start of a sequence and between documents it is not counted.
        processes: who shares the sequences.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    device = embedding.weight.device
    if rows is not None:
        tables = {name: _frozen(table.to(device)) for name, table in rows.items()}
        embedding, head = split_ends(embedding.weight, head.weight, tables)
    nats, decoder = torch.zeros((), dtype=torch.float64), model.get_decoder()
    own = sequences[processes.rank :: processes.world_size]
    for part in own.split(SEQUENCES_AT_ONCE[device.type]) if len(own) else ():
        ids = part.to(device)
        losses = losses_of_sequences(decoder, embedding, head, ids, "none")
        nats += losses[ids[:, 1:].flatten() != prefix_token].double().sum().cpu()
    summed = processes.sum(nats.float().to(device))
    return float(summed) / math.log(2) / text_bytes
