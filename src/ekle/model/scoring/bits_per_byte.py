"""Bits per byte: the loss that can be compared across tokenizers.

A language model gives a text a probability through its tokens. The loss per token depends on how long the
tokens are. The loss per byte of text does not (Gao et al. 2020, The Pile, section 3.1), so it compares a base
and an extended model.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ekle.errors import CheckpointError, InputError, TextError
from ekle.model.encoding import encode, prefix_token_id
from ekle.model.layers.loss import IGNORED, chunk_size, chunked_cross_entropy
from ekle.model.scoring.batches import in_batches


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds a text: `nats` is the sum of -ln p over all its tokens."""

    nats: float
    tokens: int
    bytes: int
    documents: int

    @property
    def bits_per_byte(self) -> float:
        """Bits per UTF-8 byte of text; comparable across tokenizers."""
        return self.nats / (math.log(2) * self.bytes)

    @property
    def loss_per_token(self) -> float:
        """Nats per token; not comparable across tokenizers."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(loss_per_token); not comparable across tokenizers, infinite if it is too large for a float."""
        try:
            return math.exp(self.loss_per_token)
        except OverflowError:
            return math.inf


def measure(
    model: Any, tokenizer: Any, documents: Sequence[str], *, context: int, batch_size: int
) -> Likelihood:
    """The likelihood of all `documents`; see `measure_documents`."""
    return total(measure_documents(model, tokenizer, documents, context=context, batch_size=batch_size))


def total(parts: Iterable[Likelihood]) -> Likelihood:
    """The likelihood of all `parts` taken as one text."""
    kept = list(parts)
    return Likelihood(
        nats=math.fsum(part.nats for part in kept),
        tokens=sum(part.tokens for part in kept),
        bytes=sum(part.bytes for part in kept),
        documents=sum(part.documents for part in kept),
    )


def measure_documents(
    model: Any,
    tokenizer: Any,
    documents: Sequence[str],
    *,
    context: int,
    batch_size: int,
    may_shrink: bool = True,
) -> list[Likelihood]:
    """The likelihood of each document by itself.

    The model reads the prefix token (`prefix_token_id`) and the tokens of the document. Every token of the
    document is predicted exactly once, the prefix token never. A document longer than `context` is read in
    overlapping windows that advance by half of `context`. A window counts only the tokens that no earlier
    window has counted, so each token after the first window has at least `context` / 2 tokens before it.

    Args:
        model: a causal language model of transformers; its training mode is restored.
        tokenizer: the tokenizer of that model.
        documents: texts, measured by their UTF-8 bytes as given.
        context: tokens in a window, with the prefix token; at least 2.
        batch_size: windows per forward pass; halved when the device runs out of memory.
        may_shrink: whether it may be halved; see `in_batches`.

    Raises:
        torch.OutOfMemoryError: a batch that may not shrink does not fit.
        DeviceMemoryError: not even one window fits the device's memory.
        InputError: `context` is below 2.
        TextError: the documents are empty.
        TokenizerError: the tokenizer has no token to start a document with.
        CheckpointError: the tokenizer gives an id for which the model has no embedding row, or the model
            gives NaN or infinity.
    """
    if context < 2:
        raise InputError("bits per byte need a context of at least 2 tokens")
    if not any(documents):
        raise TextError("there is no text to measure bits per byte on")
    prefix = prefix_token_id(tokenizer)
    sequences = [[prefix, *encode(tokenizer, text)] for text in documents]
    highest, rows = max(map(max, sequences)), model.config.vocab_size
    if highest >= rows:
        raise CheckpointError(
            f"the tokenizer gives id {highest:,} but the model has {rows:,} embedding rows; "
            "they do not belong together"
        )
    windows = [window for place, ids in enumerate(sequences) for window in _windows(place, ids, context)]
    windows.sort(key=lambda window: -len(window.ids))  # similar lengths in one batch: little padding
    nats = [0.0] * len(documents)
    training = model.training
    model.eval()
    try:
        # Not inference mode: weights that FSDP2 gathers in it could not be trained on afterwards.
        with torch.no_grad():
            work, cure = partial(_losses, model), "evaluation.context"
            losses = in_batches(windows, batch_size, work, cure, may_shrink)
            for window, loss in zip(windows, losses, strict=True):
                nats[window.document] += loss
    finally:
        model.train(training)
    if not all(map(math.isfinite, nats)):
        raise CheckpointError(
            "the model gives no finite probability to this text; its weights hold NaN or infinity"
        )
    return [
        Likelihood(nats=nats[place], tokens=len(ids) - 1, bytes=len(documents[place].encode()), documents=1)
        for place, ids in enumerate(sequences)
    ]


@dataclass(frozen=True)
class _Window:
    document: int
    ids: list[int]
    first: int
    """Position in `ids` of the first token that this window counts; at least 1."""


def _windows(document: int, ids: list[int], context: int) -> Iterator[_Window]:
    """Windows over `ids` that count each token but the prefix token exactly once."""
    counted = 1
    for begin in range(0, len(ids), max(context // 2, 1)):
        end = min(begin + context, len(ids))
        if end > counted:
            yield _Window(document, ids[begin:end], counted - begin)
            counted = end


def _losses(model: Any, batch: Sequence[_Window]) -> list[float]:
    """The loss in nats of each window, summed over the tokens it counts."""
    width = max(len(window.ids) for window in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for row, window in enumerate(batch):
        length = len(window.ids)
        ids[row, :length] = torch.tensor(window.ids)
        mask[row, :length] = 1
        # The state at a position predicts the token after it.
        labels[row, window.first - 1 : length - 1] = torch.tensor(window.ids[window.first :])
    device = model.device
    # Padding is on the right, where causal attention does not see it.
    hidden = model.get_decoder()(
        input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
    ).last_hidden_state
    counts = labels != IGNORED
    losses = chunked_cross_entropy(
        hidden[counts.to(device)],
        model.get_output_embeddings(),
        labels[counts].to(device),
        chunk_size(model.config.vocab_size, device),
        "none",
    )
    by_window = torch.split(losses.double().cpu(), counts.sum(dim=1).tolist())
    return [float(part.sum()) for part in by_window]
