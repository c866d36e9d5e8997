"""A checkpoint as training leaves one, made in a moment and without training."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from ekle.artifacts import Checkpoint, ExtendedModel
from ekle.model.checkpoint.adapter import save_adapter
from ekle.model.layers.dora import adapted_layers, attach, refresh_norms
from ekle.model.layers.new_rows import split_rows
from ekle.recipe import Recipe
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.training import DoraSettings

HISTORY = [
    {"step": 1, "loss_per_token": 6.1, "bits_per_byte": 3.9},
    {"step": 1, "held_out_bits_per_byte": 4.0},
    {"step": 2, "loss_per_token": 5.9, "bits_per_byte": 3.7},
    {"step": 2, "held_out_bits_per_byte": 3.8},
]


@pytest.fixture
def tiny_checkpoint(tiny_extended: ExtendedModel, tmp_path: Path) -> Checkpoint:
    """Adapters and new rows that differ from where they started."""
    folder = tmp_path / "5-training"
    folder.mkdir()
    model = AutoModelForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)
    rows = split_rows(model, tiny_extended.first_new_id)
    attach(model, DoraSettings(rank=2, alpha=4.0))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in rows.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for _, layer in adapted_layers(model):
            layer.lora_b.normal_(std=0.05)
    refresh_norms(model)
    checkpoint = Checkpoint(folder)
    rows.save(checkpoint.rows)
    save_adapter(model, checkpoint.adapter)
    (folder / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in HISTORY), "utf-8")
    return checkpoint


@pytest.fixture
def settings() -> EvaluationSettings:
    """Small, and with a Turkish prompt."""
    return EvaluationSettings(
        context=32,
        batch_size=4,
        prompts=["Ağaçların altında", "Deniz"],
        new_tokens=6,
        samples=3,
        sample_tokens=8,
        speed_passages=2,
        speed_characters=20,
        speed_rounds=1,
        resamples=50,
    )


@pytest.fixture
def recipe(settings: EvaluationSettings) -> Recipe:
    """A recipe that asks for `settings`."""
    return Recipe(name="tiny", evaluation=settings)
