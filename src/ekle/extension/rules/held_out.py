"""Text held out of what a rule learns from, and how well the base reads it with new rows.

A rule that learns keeps the best rows of its way by this measure, those that it began with included, so that
it never ends worse than it began.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

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
POSITIONS_AT_ONCE = {"cpu": 256, "cuda": 1024}
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


def frozen(table: Tensor) -> nn.Parameter:
    """A parameter over the same numbers that does not learn."""
    return nn.Parameter(table.detach(), requires_grad=False)


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
        tables = {name: frozen(table.to(device)) for name, table in rows.items()}
        head_rows = tables.get(OUTPUT_EMBEDDINGS, tables[INPUT_EMBEDDINGS])
        embedding = SplitEmbedding(frozen(embedding.weight), tables[INPUT_EMBEDDINGS])
        head = SplitHead(frozen(head.weight), head_rows)
    nats, decoder = torch.zeros((), dtype=torch.float64), model.get_decoder()
    for part in sequences[processes.rank :: processes.world_size].split(SEQUENCES_AT_ONCE[device.type]):
        ids = part.to(device)
        hidden = decoder(inputs_embeds=embedding(ids), use_cache=False).last_hidden_state
        labels = ids[:, 1:].flatten()
        losses = chunked_cross_entropy(
            hidden[:, :-1].flatten(0, 1), head, labels, POSITIONS_AT_ONCE[device.type], "none"
        )
        nats += losses[labels != prefix_token].double().sum().cpu()
    summed = processes.sum(nats.float().to(device))
    return float(summed) / math.log(2) / text_bytes
