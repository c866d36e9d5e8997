"""The losses of the alignment phase: one text, read by the base and by the extended model in their cuts.

The teacher is the student with adapters off and base rows alone, so no second model is in memory.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ekle.bpe.two_cuts import Ids, TwoCuts
from ekle.model.dora import without_adapters
from ekle.model.loss import chunk_size, weighted_cross_entropy
from ekle.model.rows import SplitHead
from ekle.model.two_readings import behind_opening, caught, shared_boundaries
from ekle.recipe.training import Alignment


class Aligner:
    """A model with split rows (`ekle.model.rows.split_rows`), and how far it is from what it was.

    Two losses, at the places where both cuts have a boundary:

    - the squared distance of hidden states after some of the layers, as a share of their own square, from the
      end of a passage's first new token on (before it both read the same);
    - for each span between two such places, the difference of log-likelihood in nats: the sum over its base
      pieces, as the base has it, against the sum over the student's tokens, mostly one. Beyond one nat it
      counts as it is, below one as half its square (Huber), as few spans are far off.

    Matching the likelihood of spans is after Minixhofer, Vulić and Ponti (2025, "Universal Cross-Tokenizer
    Distillation via Approximate Likelihood Matching"). Where the text goes on inside the word, the base's
    pieces have also the mass of every longer token that begins with them; their way to discount that is not
    taken over.

    Args:
        model: a causal language model of transformers with split rows, adapters attached or not.
        opening: id of a base token put before every passage; it is the same in both cuts.
        settings: depths and weights.
    """

    def __init__(self, model: Any, opening: int, settings: Alignment) -> None:
        head = model.get_output_embeddings()
        if not isinstance(head, SplitHead):
            raise TypeError("the rows of the model are not split")
        self._model, self._opening, self._settings = model, opening, settings
        self._head, self.first = head, len(head.base)
        count = model.config.num_hidden_layers
        self._depths = sorted({min(max(round(share * count), 1), count) for share in settings.depths})

    def losses(self, passages: Sequence[TwoCuts]) -> tuple[Tensor, Tensor]:
        """Distance of hidden states, and of span likelihoods, each a mean over its places.

        The second's gradient is exact, but made in the forward pass: one backward pass goes through it.
        """
        with torch.no_grad(), without_adapters(self._model):
            cuts = [passage.base for passage in passages]
            told, teacher = self._read(cuts)
            nats = self._nats(cuts, teacher, _Base(self._head.base))
            wanted = _summed(nats, span_numbers(passages, new=False))
        states, student = self._read([passage.new for passage in passages])
        here, there = shared_boundaries(passages, self.first)
        here, there = here.to(student.device), there.to(student.device)
        distances = [
            (given[tuple(there)].float() - base[tuple(here)].float()).square().sum(dim=-1).mean()
            / base[tuple(here)].float().square().sum(dim=-1).mean()
            for base, given in zip(told, states, strict=True)
        ]
        return torch.stack(distances).mean(), self._span_loss(passages, student, wanted)

    def _span_loss(self, passages: Sequence[TwoCuts], student: Tensor, wanted: Tensor) -> Tensor:
        """Mean over spans; `wanted` (spans,) are the teacher's nats."""
        number = span_numbers(passages, new=True).to(student.device)
        ids = [passage.new for passage in passages]
        with torch.no_grad():
            apart = _summed(self._nats(ids, student, self._head), number) - wanted
            value = functional.huber_loss(apart, torch.zeros_like(apart))
            # The loss depends on each token's nats through its span: its slope there is the token's weight.
            weights = (apart.clamp(-1, 1) / len(apart))[number]
        lowered = self._weighted(ids, student, self._head, weights)[0]
        return lowered - lowered.detach() + value

    def _nats(self, ids: Sequence[Ids], states: Tensor, head: nn.Module) -> Tensor:
        """-ln p of each token, passage after passage, (tokens,)."""
        count = sum(len(each) for each in ids)
        return self._weighted(ids, states, head, torch.ones(count, device=states.device))[1]

    def _weighted(
        self, ids: Sequence[Ids], states: Tensor, head: nn.Module, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sum of the tokens' losses by `weights`, and the losses."""
        before = torch.cat([states[row, : len(each)] for row, each in enumerate(ids)])
        labels = torch.from_numpy(np.concatenate(list(ids))).to(states.device)
        rows = self.first + len(self._head.new)
        return weighted_cross_entropy(before, head, labels, weights, chunk_size(rows, states.device))

    def _read(self, texts: Sequence[Ids]) -> tuple[list[Tensor], Tensor]:
        """Hidden states (B, T, D) after each depth, and the last; the opening stands at 0."""
        ids, mask = behind_opening(texts, self._opening, self._head.base.device)
        decoder = self._model.get_decoder()
        with caught([decoder.layers[depth - 1] for depth in self._depths]) as found:
            last = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return found, last


class _Base(nn.Module):
    """The base's output rows alone, as an output layer."""

    def __init__(self, rows: nn.Parameter) -> None:
        super().__init__()
        self.weight = rows


def _summed(nats: Tensor, number: Tensor) -> Tensor:
    """Nats of each span, (spans,), from those of its tokens."""
    number = number.to(nats.device)
    return torch.zeros(int(number[-1]) + 1, device=nats.device).index_add_(0, number, nats)


def span_numbers(passages: Sequence[TwoCuts], new: bool) -> Tensor:
    """For each token, passage after passage, the number of the shared span it lies in, counted over all."""
    numbers, before = [], 0
    for passage in passages:
        ids, ends = (passage.new, passage.new_ends) if new else (passage.base, passage.base_ends)
        numbers.append(np.searchsorted(ends, np.arange(len(ids)), side="left") + before)
        before += len(ends)
    return torch.from_numpy(np.concatenate(numbers))
