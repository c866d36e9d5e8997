"""Sampling: which tokens may be sampled, how often, and where a continuation ends."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from ekle.model.scoring.sampling import sample_continuations, sample_top_p


def test_the_nucleus_is_the_fewest_likeliest_that_hold_enough() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    torch.manual_seed(0)
    sampled = sample_top_p(probabilities.log().expand(4_000, -1), 0.7).flatten().bincount(minlength=4)
    # 0.5 alone is too little, 0.5 + 0.3 is enough; among the two, 5 to 3.
    assert sampled[2:].tolist() == [0, 0]
    assert sampled[0].item() / 4_000 == pytest.approx(0.625, abs=0.03)


def test_the_likeliest_is_drawn_however_small_the_nucleus() -> None:
    assert sample_top_p(torch.tensor([[0.0, 5.0, 1.0]]), 1e-9).tolist() == [[1]]


def test_the_whole_distribution_is_drawn_from_where_nothing_is_cut() -> None:
    torch.manual_seed(0)
    sampled = sample_top_p(torch.zeros(4_000, 4), 1.0).flatten().bincount(minlength=4)
    assert all(count.item() / 4_000 == pytest.approx(0.25, abs=0.03) for count in sampled)


def test_a_cold_draw_is_what_the_model_thinks_likeliest(tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()
    prompts = [[5, 6, 7], [30], [9, 8, 7, 6, 5, 4]]  # the other prompts of a batch do not matter
    said = [continued(model, prompt, 6) for prompt in prompts]
    assert sample_continuations(model, prompts, 6, temperature=1e-4, top_p=1.0) == said
    end = said[0][2]
    over = sample_continuations(model, prompts[:1] * 2, 6, temperature=1e-4, top_p=1.0, stop_ids={end})
    assert over == [said[0][: said[0].index(end) + 1]] * 2


def continued(model: Any, prompt: list[int], tokens: int) -> list[int]:
    """The slow reference: the whole text again for each token."""
    ids = list(prompt)
    for _ in range(tokens):
        with torch.no_grad():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]
