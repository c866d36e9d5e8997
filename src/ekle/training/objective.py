"""What training lowers: the loss of the next token, by chunked cross-entropy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ekle.model.layers.loss import IGNORED, chunk_size, row_blocks, sample_labels, weighted_cross_entropy
from ekle.recipe.training import NeftuneSettings
from ekle.training.kernels import packed_sequence_bounds
from ekle.training.neftune import add_noise

Found = TypeVar("Found")


@dataclass(frozen=True)
class Tally:
    """Sums over labels that count, on the model's device; `text_` sums leave out the ends of documents."""

    nats: Tensor
    tokens: Tensor
    text_nats: Tensor
    text_bytes: Tensor
    read: Tensor
    """Tokens that the model read, with a label that counts or without."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(self.sums(), other.sums(), strict=True)))

    def sums(self) -> tuple[Tensor, ...]:
        """The sums in the order of their fields."""
        return self.nats, self.tokens, self.text_nats, self.text_bytes, self.read


class Objective(nn.Module):
    """A causal language model together with its loss.

    Args:
        language_model: a causal language model of transformers.
        neftune: noise on the embeddings, if `forward` gets generators for it.
        byte_lengths: (V,) UTF-8 bytes of each token's text, 0 for special tokens.
    """

    byte_lengths: Tensor

    def __init__(self, language_model: Any, neftune: NeftuneSettings, byte_lengths: Tensor) -> None:
        super().__init__()
        self.language_model = language_model
        self.neftune = neftune
        self.register_buffer("byte_lengths", byte_lengths, persistent=False)

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        position_ids: Tensor,
        tokens: float | None = None,
        noise: Sequence[torch.Generator] | None = None,
        sample: Sequence[torch.Generator] | None = None,
    ) -> tuple[Tensor, Tally]:
        """The loss over the labels of packed sequences (B, T), with its gradient, and the sums.

        Args:
            input_ids: (B, T).
            labels: (B, T), the token to learn at each; `IGNORED` does not count.
            position_ids: (B, T), 0 at the start of each document.
            tokens: divides the sum of the losses, so that the losses of all micro-batches of a step add up
                to its mean. None divides by the labels that count here.
            noise: B generators for the NEFTune noise; None adds none.
            sample: B generators by which labels are sampled from the model, in place of those that count.
        """
        embeddings = self.language_model.get_input_embeddings()(input_ids)
        if noise is not None:
            embeddings = add_noise(embeddings, position_ids, self.neftune, noise)
        decoder, head = self.language_model.get_decoder(), self.language_model.get_output_embeddings()
        bounds = packed_sequence_bounds(self.language_model, position_ids)
        # A cache would hide from the attention mask where a packed document ends.
        hidden = decoder(inputs_embeds=embeddings, position_ids=position_ids, use_cache=False, **bounds)[0]
        states, wanted = hidden.flatten(0, 1), labels.flatten()
        chunk = chunk_size(sum(len(block) for block in row_blocks(head)), states.device)
        counts = wanted != IGNORED
        count = counts.sum()
        if sample is not None:
            points = [torch.rand(labels.shape[1], generator=own, device=states.device) for own in sample]
            drawn = sample_labels(states, head, chunk, torch.cat(points))
            wanted = torch.where(counts, drawn, IGNORED)
        weights = counts / (count.clamp(min=1) if tokens is None else tokens)
        loss, losses = weighted_cross_entropy(states, head, wanted, weights, chunk)
        lengths = self.byte_lengths[wanted.clamp(min=0)] * counts
        read = torch.tensor(len(wanted), device=states.device)
        return loss, Tally(losses.sum(), count, (losses * (lengths > 0)).sum(), lengths.sum(), read)

    def measured(self, measure: Callable[[Any], Found]) -> Found:
        """What `measure` finds of the language model.

        FSDP2 treats this as a forward pass: while it runs, each process has the full weights outside the
        layers (`ekle.training.parallel`).
        """
        return measure(self.language_model)


def bits_per_byte(text_nats: float, text_bytes: float) -> float:
    """Bits per byte of text; NaN without text."""
    return text_nats / (math.log(2) * text_bytes) if text_bytes else math.nan


def byte_lengths(tokenizer: Any, rows: int) -> Tensor:
    """(rows,) bytes of each token's text; 0 for added tokens and for rows without a token.

    A byte-level vocabulary spells a token with one character per byte.
    """
    lengths = torch.zeros(rows, dtype=torch.long)
    added = set(tokenizer.get_added_vocab())
    for token, number in tokenizer.get_vocab().items():
        if token not in added and number < rows:
            lengths[number] = len(token)
    return lengths
