"""Models whose logits are more than states times rows are refused, and no others."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import BASE_ROWS
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    CohereConfig,
    Gemma2Config,
    GraniteConfig,
    LlamaConfig,
    PhiConfig,
)

from ekle.errors import CheckpointError
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.model.scoring.logits_check import check_logits

SIZES = {
    "vocab_size": BASE_ROWS,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 1.0,  # the usual 0.02 would give logits too small to be capped
}


@pytest.fixture
def tokenizer(tiny_base: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_base)


def model_of(config: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize(
    "config",
    [
        CohereConfig(**SIZES, logit_scale=0.0625),
        GraniteConfig(**SIZES, logits_scaling=8.0),
        Gemma2Config(**SIZES, final_logit_softcapping=3.0),
        PhiConfig(**SIZES),  # its head has a bias
    ],
    ids=lambda config: config.model_type,
)
def test_logits_that_are_scaled_capped_or_shifted_are_refused(config: Any, tokenizer: Any) -> None:
    with pytest.raises(CheckpointError, match="leave this model out"):
        check_logits(model_of(config), tokenizer)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "config",
    [
        CohereConfig(**SIZES, logit_scale=1.0),
        Gemma2Config(**SIZES, final_logit_softcapping=None),
        LlamaConfig(**SIZES),
    ],
    ids=lambda config: config.model_type,
)
def test_plain_logits_pass(config: Any, dtype: torch.dtype, tokenizer: Any) -> None:
    check_logits(model_of(config).to(dtype), tokenizer)


def test_qwen3_passes(tiny_base: Path) -> None:
    assert EvaluatedModel("base", tiny_base).loaded


def test_another_architecture_is_refused_before_anything_is_measured(tiny_base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "granite")
    model_of(GraniteConfig(**SIZES, logits_scaling=8.0)).save_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"GraniteForCausalLM.*leave this model out"):
        EvaluatedModel("granite", folder).check()
    EvaluatedModel("base", tiny_base).check()
