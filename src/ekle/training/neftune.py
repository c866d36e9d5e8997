"""NEFTune: noise on the embeddings while training (Jain et al. 2023, arXiv:2310.05914).

The paper adds uniform noise of scale alpha / sqrt(L D) to a sequence of L tokens and D channels, so that the
expected length of the noise does not depend on L. Here L is the length of each document. The usual hooks take
the padded or packed width instead, and short texts then get hardly any noise.
"""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor

from ekle.recipe.training import NeftuneSettings
from ekle.training.data.packing import document_starts


def sequence_lengths(position_ids: Tensor) -> Tensor:
    """For each token of packed sequences (B, T), the number of tokens that its document has there."""
    number = document_starts(position_ids).flatten().cumsum(0) - 1
    lengths = torch.bincount(number)
    return lengths[number].view(position_ids.shape)


def add_noise(
    embeddings: Tensor, position_ids: Tensor, settings: NeftuneSettings, generators: Sequence[torch.Generator]
) -> Tensor:
    """The embeddings with noise; unchanged if `settings.alpha` is 0.

    Args:
        embeddings: (B, T, D) of packed sequences.
        position_ids: (B, T), 0 at the start of each document.
        settings: strength and kind of the noise.
        generators: B of them, on the device of the embeddings. Each draws the noise of one sequence, so that
            it does not depend on the rest of the micro-batch, which differs with memory and processes.
    """
    if settings.alpha == 0:
        return embeddings
    noise = torch.empty(embeddings.shape, dtype=torch.float32, device=embeddings.device)
    for row, generator in zip(noise, generators, strict=True):
        match settings.noise:
            case "uniform":
                row.uniform_(-1, 1, generator=generator)
            case "gaussian":
                row.normal_(generator=generator)
            case _:
                assert_never(settings.noise)
    scale = settings.alpha / (sequence_lengths(position_ids) * embeddings.shape[-1]).sqrt()
    return embeddings + noise.mul_(scale.unsqueeze(-1)).to(embeddings.dtype)
