"""Noise on the embeddings."""

import math

import pytest
import torch

from ekle.recipe.training import Neftune
from ekle.training.neftune import add_noise, sequence_lengths

WIDTH = 64


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_lengths_are_those_of_each_packed_sequence() -> None:
    positions = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]])
    assert sequence_lengths(positions).tolist() == [[3, 3, 3, 2, 2, 1], [6] * 6]


def test_a_row_that_goes_on_with_a_cut_text_starts_anew() -> None:
    assert sequence_lengths(torch.tensor([[0, 1], [5, 6]])).tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize(("noise", "spread"), [("uniform", 1 / math.sqrt(3)), ("gaussian", 1.0)])
def test_noise_is_scaled_by_the_sequence_and_not_by_the_packed_width(noise: str, spread: float) -> None:
    short, long = 16, 4000
    positions = torch.cat([torch.arange(short), torch.arange(long)]).unsqueeze(0)
    zeros = torch.zeros(1, short + long, WIDTH)
    noisy = add_noise(zeros, positions, Neftune(alpha=5.0, noise=noise), generator())
    for part, length in ((noisy[0, :short], short), (noisy[0, short:], long)):
        expected = 5.0 / math.sqrt(length * WIDTH) * spread
        assert part.std().item() == pytest.approx(expected, rel=0.05)
    if noise == "uniform":
        assert noisy[0, :short].abs().max() <= 5.0 / math.sqrt(short * WIDTH)


def test_alpha_zero_adds_nothing() -> None:
    embeddings = torch.randn(1, 5, WIDTH)
    positions = torch.arange(5).unsqueeze(0)
    assert add_noise(embeddings, positions, Neftune(alpha=0.0), generator()) is embeddings


def test_the_precision_of_the_embeddings_is_kept() -> None:
    embeddings = torch.randn(1, 5, WIDTH, dtype=torch.bfloat16)
    noisy = add_noise(embeddings, torch.arange(5).unsqueeze(0), Neftune(), generator())
    assert noisy.dtype == torch.bfloat16
    assert not torch.equal(noisy, embeddings)
