"""A checkpoint as training leaves one, made in a moment and without training, and an evaluation of it."""

import functools
import gc
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from ekle.artifacts import BaseModel, Checkpoint, Corpus, ExtendedModel, Scorecard, Vocabulary
from ekle.evaluation.stage import Inputs, run
from ekle.model.checkpoint.adapter import save_adapter
from ekle.model.layers.dora import adapted_layers, attach, refresh_norms
from ekle.model.layers.new_rows import split_rows
from ekle.progress import silent
from ekle.recipe import Recipe
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.training import DoraSettings
from ekle.turkish.lexicon import readings

HISTORY = [
    {"step": 1, "loss_per_token": 6.1, "bits_per_byte": 3.9},
    {"step": 1, "held_out_bits_per_byte": 4.0},
    {"step": 2, "loss_per_token": 5.9, "bits_per_byte": 3.7},
    {"step": 2, "held_out_bits_per_byte": 3.8},
]


@pytest.fixture(scope="session")
def lexicon() -> None:
    """Loaded before the first evaluation, and not searched for garbage from then on; see `_settled`."""
    readings("ev")
    gc.freeze()


@pytest.fixture(scope="session")
def _checkpoints(
    tmp_path_factory: pytest.TempPathFactory, _extended_models: dict[bool, ExtendedModel]
) -> dict[bool, Checkpoint]:
    return {
        tied: write_checkpoint(tmp_path_factory.mktemp("5-training"), extended)
        for tied, extended in _extended_models.items()
    }


@pytest.fixture
def tiny_checkpoint(_checkpoints: dict[bool, Checkpoint], tied: bool) -> Checkpoint:
    """Adapters and new rows that differ from where they started."""
    return _checkpoints[tied]


def write_checkpoint(folder: Path, extended: ExtendedModel) -> Checkpoint:
    """What training over `extended` could have left."""
    model = AutoModelForCausalLM.from_pretrained(extended.model, dtype=torch.float32)
    rows = split_rows(model, extended.first_new_id)
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
def inputs(
    tiny_corpus: Corpus,
    tiny_vocabulary: Vocabulary,
    tiny_base_model: BaseModel,
    tiny_extended: ExtendedModel,
    tiny_checkpoint: Checkpoint,
) -> Inputs:
    """All that the evaluation stage takes."""
    return Inputs(tiny_corpus, tiny_vocabulary, tiny_base_model, tiny_extended, tiny_checkpoint)


@pytest.fixture(scope="session")
def _evaluate(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_corpus: Corpus,
    tiny_vocabulary: Vocabulary,
    _base_models: dict[bool, BaseModel],
    _extended_models: dict[bool, ExtendedModel],
    _checkpoints: dict[bool, Checkpoint],
    lexicon: None,
) -> Callable[[bool], Path]:
    @functools.cache
    def evaluate(tied: bool) -> Path:
        folder = tmp_path_factory.mktemp("6-evaluation")
        models = (each[tied] for each in (_base_models, _extended_models, _checkpoints))
        recipe = Recipe(name="tiny", evaluation=small())
        run(recipe, Inputs(tiny_corpus, tiny_vocabulary, *models), folder, silent())
        return folder

    return evaluate


@pytest.fixture
def evaluated(_evaluate: Callable[[bool], Path], tied: bool, tmp_path: Path) -> Scorecard:
    """The evaluation of `inputs` with `recipe`, as an artifact; a copy that may be changed."""
    return Scorecard(shutil.copytree(_evaluate(tied), tmp_path / "6-evaluation"))


@pytest.fixture
def settings(lexicon: None) -> EvaluationSettings:
    """Small, and with a Turkish prompt."""
    return small()


def small() -> EvaluationSettings:
    """Settings of an evaluation that takes a moment."""
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
