"""Hidden states of a teacher and a student on one text, each with its own tokenization: what losses need."""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ekle.bpe.tokenizer_pair import AlignedEncoding, Ids


def depth_to_layer(depth: float, layers: int) -> int:
    """The layer of `layers`, from 1, that is nearest to the share `depth` (0 to 1); halves round up."""
    return min(max(math.floor(depth * layers + 0.5), 1), layers)


def first_layers(model: Any, count: int) -> Any:
    """The decoder of `model` up to layer `count`, without the last norm.

    Its `last_hidden_state` (B, T, D) is the residual stream after `count` layers, which is what
    `output_hidden_states` gives at place `count`. Weights are shared, so it costs no memory.

    Args:
        model: a causal language model of transformers whose decoder has `layers` and `norm`.
        count: layers to keep, from 1 to all.
    """
    decoder = model.get_decoder()
    shared = [*decoder.children(), *decoder.parameters(recurse=False), *decoder.buffers(recurse=False)]
    # What the memo of a deep copy holds is not copied: the new decoder has the same layers and weights.
    short = copy.deepcopy(decoder, {id(each): each for each in shared})
    short.layers = nn.ModuleList(decoder.layers[:count])
    short.norm = nn.Identity()
    short.config.num_hidden_layers = count
    return short


def padded_batches(passages: Iterable[AlignedEncoding], tokens: int) -> Iterator[list[AlignedEncoding]]:
    """Batches of at most `tokens` tokens of the new tokenizer, padding included, in the order given.

    A passage that is longer is a batch by itself.
    """
    batch: list[AlignedEncoding] = []
    for passage in passages:
        longest = max(len(each.new) for each in [*batch, passage])
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(passage)
    if batch:
        yield batch


def with_prefix_token(texts: Sequence[Ids], prefix_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids (B, T) with the token `opening` before each text, and the mask; padded on the right, where nothing
    looks.

    Models hang much of their attention on the first token, whatever it is; so it is the same in both cuts.
    """
    rows = [torch.cat([torch.tensor([prefix_id]), torch.from_numpy(ids)]) for ids in texts]
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return pad_sequence(rows, batch_first=True).to(device), mask.to(device)


@contextmanager
def captured_outputs(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """The outputs of `layers`, in order, filled by the forward pass inside."""
    found: list[Tensor] = []

    def capture(_: nn.Module, __: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(capture) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def shared_boundaries(passages: Sequence[AlignedEncoding], first_new_id: int) -> tuple[Tensor, Tensor]:
    """Places (2, n) as passage and position, in the base's cut and in the new one, that end at one byte.

    From the end of a passage's first new token on, because before it both read the same; the opening before a
    passage moves all by one. A passage without a new token (id `first` or above) has none, unless no passage
    has any: then all places count.
    """
    pairs = []
    for number, passage in enumerate(passages):
        new = np.flatnonzero(passage.new >= first_new_id)
        since = int(new[0]) if len(new) else len(passage.new)
        pairs += [
            (number, base + 1, at + 1, at >= since)
            for base, at in zip(passage.base_ends.tolist(), passage.new_ends.tolist(), strict=True)
        ]
    found = torch.tensor([pair for pair in pairs if pair[3]] or pairs).T
    return found[[0, 1]], found[[0, 2]]


def hidden_state_distance(teacher: Tensor, student: Tensor, boundaries: tuple[Tensor, Tensor]) -> Tensor:
    """How far the student's hidden states are from the teacher's: the loss of distillation and alignment.

    Args:
        teacher: hidden states (B, T, D) of the base after one layer.
        student: hidden states (B, S, D) of the student after the same layer.
        boundaries: what `shared_boundaries` gives for the same passages.

    Returns:
        The mean squared distance at the shared boundaries, in float32, as a share of the mean square of the
        teacher's states there.
    """
    base, new = (tuple(places.to(student.device)) for places in boundaries)
    wanted, given = teacher[base].float(), student[new].float()
    return (given - wanted).square().sum(dim=-1).mean() / wanted.square().sum(dim=-1).mean()
