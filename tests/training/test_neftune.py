"""Noise on the embeddings."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from ekle.artifacts import Corpus, ExtendedModel
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.recipe.training import NeftuneSettings
from ekle.training.neftune import add_noise, sequence_lengths
from ekle.training.objective import Objective
from ekle.training.stage import Inputs, run

WIDTH = 64


def generators(rows: int = 1) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(row) for row in range(rows)]


def test_lengths_are_those_of_each_packed_sequence() -> None:
    positions = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]])
    assert sequence_lengths(positions).tolist() == [[3, 3, 3, 2, 2, 1], [6] * 6]


def test_a_row_that_goes_on_with_a_split_text_starts_anew() -> None:
    assert sequence_lengths(torch.tensor([[0, 1], [5, 6]])).tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize(("noise", "spread"), [("uniform", 1 / math.sqrt(3)), ("gaussian", 1.0)])
def test_noise_is_scaled_by_the_sequence_and_not_by_the_packed_width(noise: str, spread: float) -> None:
    short, long = 16, 4000
    positions = torch.cat([torch.arange(short), torch.arange(long)]).unsqueeze(0)
    zeros = torch.zeros(1, short + long, WIDTH)
    noisy = add_noise(zeros, positions, NeftuneSettings(alpha=5.0, noise=noise), generators())
    for part, length in ((noisy[0, :short], short), (noisy[0, short:], long)):
        expected = 5.0 / math.sqrt(length * WIDTH) * spread
        assert part.std().item() == pytest.approx(expected, rel=0.05)
    if noise == "uniform":
        assert noisy[0, :short].abs().max() <= 5.0 / math.sqrt(short * WIDTH)


def literally(embeddings: Tensor, positions: Tensor, alpha: float, draw: Callable[..., Tensor]) -> Tensor:
    """Section 2 of the paper, sequence by sequence: X + alpha / sqrt(L D) E, E drawn entry by entry."""
    noise = draw(embeddings.shape)
    noisy = embeddings.clone()
    for row in range(len(positions)):
        starts = [0, *(t for t in range(1, positions.shape[1]) if positions[row, t] == 0), positions.shape[1]]
        for start, end in itertools.pairwise(starts):
            length, width = end - start, embeddings.shape[-1]
            noisy[row, start:end] += alpha / math.sqrt(length * width) * noise[row, start:end]
    return noisy


@pytest.mark.parametrize("noise", ["uniform", "gaussian"])
def test_the_noise_is_that_of_the_paper_for_every_sequence(noise: str) -> None:
    positions = torch.tensor([[0, 1, 2, 0, 1, 0, 1, 2], [0, 1, 2, 3, 4, 0, 1, 2], list(range(8))])
    embeddings = torch.randn(3, 8, WIDTH, generator=generators()[0])

    def draw(shape: torch.Size) -> Tensor:
        drawn = torch.empty(shape)
        for row, drawing in zip(drawn, generators(len(drawn)), strict=True):
            if noise == "uniform":
                row.uniform_(-1, 1, generator=drawing)
            else:
                row.normal_(generator=drawing)
        return drawn

    expected = literally(embeddings, positions, 15.0, draw)
    found = add_noise(embeddings, positions, NeftuneSettings(alpha=15.0, noise=noise), generators(3))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("noise", ["uniform", "gaussian"])
def test_the_length_of_the_noise_does_not_depend_on_that_of_the_sequence(noise: str) -> None:
    """Why the scale is what it is: the Euclidean length of a sequence's noise is alpha times the spread."""
    spread = {"uniform": 1 / math.sqrt(3), "gaussian": 1.0}[noise]
    for length in (10, 1000):
        zeros, positions = torch.zeros(1, length, WIDTH), torch.arange(length).unsqueeze(0)
        found = add_noise(zeros, positions, NeftuneSettings(alpha=15.0, noise=noise), generators())
        assert found.norm().item() == pytest.approx(15.0 * spread, rel=0.1)


@pytest.fixture
def noisy(tiny_extended: ExtendedModel) -> Objective:
    """A model whose noise would drown everything."""
    model = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)
    return Objective(model.train(), NeftuneSettings(alpha=1e4), torch.ones(430, dtype=torch.long))


def test_there_is_no_noise_in_an_estimate_of_the_curvature(noisy: Objective) -> None:
    ids, positions = torch.arange(40).view(2, 20), torch.arange(20).expand(2, -1)
    drawn = [noisy(ids, ids, positions, sample=generators(2))[0].item() for _ in range(2)]
    noisy.neftune = NeftuneSettings(alpha=0)
    assert drawn == [noisy(ids, ids, positions, sample=generators(2))[0].item()] * 2


def test_a_run_draws_noise_for_what_it_learns_from_and_nothing_else(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations and estimates of the curvature, one before each step, get none."""
    drawn: list[torch.Size] = []

    def seen(embeddings: Tensor, *rest: Any) -> Tensor:
        drawn.append(embeddings.shape)
        return add_noise(embeddings, *rest)

    monkeypatch.setattr("ekle.training.objective.add_noise", seen)
    settings = {
        "steps": 3,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "sequence_length": 32,
        "evaluate_steps": 1,
        "precision": "fp32",
        "activation_checkpointing": False,
        "dora": {"rank": 2, "alpha": 2.0},
        "sophia": {"hessian_every": 1},
    }
    recipe = make_recipe({"name": "test", "training": settings})
    run(recipe, Inputs(tiny_corpus, tiny_extended), tmp_path, silent())
    assert len(drawn) == 3 * 2


def test_alpha_zero_adds_nothing() -> None:
    embeddings = torch.randn(1, 5, WIDTH)
    positions = torch.arange(5).unsqueeze(0)
    assert add_noise(embeddings, positions, NeftuneSettings(alpha=0.0), generators()) is embeddings


def test_the_precision_of_the_embeddings_is_kept() -> None:
    embeddings = torch.randn(1, 5, WIDTH, dtype=torch.bfloat16)
    noisy = add_noise(embeddings, torch.arange(5).unsqueeze(0), NeftuneSettings(), generators())
    assert noisy.dtype == torch.bfloat16
    assert not torch.equal(noisy, embeddings)
