"""A tiny Qwen2 with both kinds of ends, and text for all parts."""

from pathlib import Path

import pytest
import torch
from tiny import BASE_ROWS, BPE_IDS, HIDDEN, LAYERS, write_base, write_plain_text
from transformers import Qwen2Config, Qwen2ForCausalLM


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain_text(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tied` and `untied`, whose layers and input embeddings are the same."""
    root = tmp_path_factory.mktemp("bases")
    models = {}
    for name in ("tied", "untied"):
        write_base(root / name, tied=name == "tied")
        with torch.random.fork_rng():
            torch.manual_seed(1)
            models[name] = Qwen2ForCausalLM(qwen2_config(tied=name == "tied"))
            for kind, weight in models[name].named_parameters():
                torch.nn.init.normal_(weight, std=0.15 if "embed" in kind else 0.08)
    head = models["untied"].lm_head.weight
    models["untied"].load_state_dict({**models["tied"].state_dict(), "lm_head.weight": head})
    for name, model in models.items():
        model.save_pretrained(root / name)
    return root


def qwen2_config(tied: bool) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=BASE_ROWS,
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        eos_token_id=BPE_IDS + 2,
        pad_token_id=BPE_IDS,
        dtype="float32",
    )
