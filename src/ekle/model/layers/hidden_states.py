"""A teacher and a student that read one text, each in its own tokenization: hidden states and their distance.

Distillation (the extension stage) and alignment (the training stage) share this.
"""

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

    Its `last_hidden_state` (B, T, D) is the residual stream after `count` layers: entry `count` of what
    `output_hidden_states` gives. It shares all weights with `model`, so it takes no memory.

    Args:
        model: a causal language model of transformers whose decoder has `layers` and `norm`.
        count: layers to keep, from 1 to all.
    """
    decoder = model.get_decoder()
    shared = [*decoder.children(), *decoder.parameters(recurse=False), *decoder.buffers(recurse=False)]
    # A deep copy does not copy what its memo holds: the new decoder has the same layers and weights.
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


def with_prefix_token(texts: Sequence[Ids], prefix_token: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids (B, T) with the token `prefix_token` before each text, and their mask; padded on the right.

    Models put much of their attention on the first token, whatever it is. So it is the same one in both
    tokenizations.
    """
    rows = [torch.cat([torch.tensor([prefix_token]), torch.from_numpy(ids)]) for ids in texts]
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return pad_sequence(rows, batch_first=True).to(device), mask.to(device)


@contextmanager
def captured_outputs(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """A list that a forward pass inside the context fills with the outputs of `layers`, in order."""
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
    """The places after which base and new tokenization have read the same bytes, as (passage, position).

    Places count from the end of a passage's first new token on, because before it both read the same tokens.
    Positions are shifted by one for the prefix token. A passage without a new token has no places; if no
    passage has a new token, all places count.

    Args:
        passages: texts in both tokenizations.
        first_new_id: new tokens have this id or a higher one.

    Returns:
        Places in the base's tokenization (2, n), and the same places in the new one (2, n).
    """
    pairs = []
    for number, passage in enumerate(passages):
        new = np.flatnonzero(passage.new >= first_new_id)
        since = int(new[0]) if len(new) else len(passage.new)
        pairs += [
            (number, base + 1, own + 1, own >= since)
            for base, own in zip(passage.base_ends.tolist(), passage.new_ends.tolist(), strict=True)
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
