"""A model that computes in bfloat16 on a CPU has the loss and the gradients that it has in float32."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from ekle.model.device import BF16_WIDTH
from ekle.model.layers.activation_checkpointing import enable_activation_checkpointing
from ekle.model.layers.dora import attach, refresh_norms
from ekle.model.layers.new_rows import split_rows
from ekle.recipe.training import DoraSettings, NeftuneSettings
from ekle.training.objective import Objective

ROWS, NEW, TOKENS = 600, 80, 48
SHAPE: dict[str, Any] = {
    "hidden_size": BF16_WIDTH,
    "intermediate_size": 2 * BF16_WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": ROWS,
    "initializer_range": 0.05,
}


def random_model(family: str, tied: bool) -> Any:
    """Random weights that bfloat16 has exactly; Qwen2 has biases, Qwen3 norms of queries and keys."""
    torch.manual_seed(0)
    if family == "qwen3":
        model: Any = Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=64, tie_word_embeddings=tied))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, tie_word_embeddings=tied))
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                nn.init.normal_(parameter, std=0.1)
    return model.to(torch.bfloat16).requires_grad_(False)


def loss_and_gradients(model: Any) -> tuple[float, dict[str, Tensor]]:
    """Of a step in which the adapters have left their start, over two packed documents a sequence."""
    draw = torch.Generator().manual_seed(1)
    split_rows(model, ROWS - NEW)
    attach(model, DoraSettings(rank=8, alpha=16.0), generator=draw)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_b"):
                parameter.copy_(0.02 * torch.randn(parameter.shape, generator=draw))
            elif name.endswith("magnitude"):
                parameter.mul_(1 + 0.1 * torch.randn(parameter.shape, generator=draw))
    refresh_norms(model)
    enable_activation_checkpointing(model)
    ids = torch.randint(0, ROWS, (2, TOKENS + 1), generator=draw)
    positions = (torch.arange(TOKENS) % (TOKENS // 2)).repeat(2, 1)
    objective = Objective(model, NeftuneSettings(alpha=0), torch.ones(ROWS, dtype=torch.long)).train()
    loss, _ = objective(input_ids=ids[:, :-1], labels=ids[:, 1:], position_ids=positions)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_loss_and_gradients_are_those_of_float32_to_rounding(family: str, tied: bool) -> None:
    """The step from the layer norms to the chunked loss, with DoRA, new rows and checkpointing."""
    half, half_gradients = loss_and_gradients(random_model(family, tied))
    exact, exact_gradients = loss_and_gradients(random_model(family, tied).float())
    assert half == pytest.approx(exact, rel=2e-3)
    assert half_gradients.keys() == exact_gradients.keys()
    assert sum("new" in name for name in half_gradients) >= 2 - tied
    for name, gradient in exact_gradients.items():
        found = half_gradients[name]
        assert found.dtype == torch.float32, name
        assert functional.cosine_similarity(found.flatten(), gradient.flatten(), dim=0) > 0.998, name
        assert found.norm().item() == pytest.approx(gradient.norm().item(), rel=0.03), name


def test_a_new_row_that_no_token_of_the_text_reads_has_the_gradient_of_the_softmax_alone() -> None:
    """Such gradients are small, and must not be lost among eight bits."""
    half, exact = (
        loss_and_gradients(model)[1]["lm_head.new"]
        for model in (random_model("qwen2", False), random_model("qwen2", False).float())
    )
    length = exact.norm(dim=1)
    quiet = length < length.median()
    assert 0 < quiet.sum() < NEW
    assert (half[quiet] - exact[quiet]).norm(dim=1).div(length[quiet]).max() < 0.1
