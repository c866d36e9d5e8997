"""Attention, compiled layers and Liger: what is chosen, what is refused, and that nothing else changes."""

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers.modeling_flash_attention_utils as flash
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import Qwen3ForCausalLM

from ekle.artifacts import Corpus, ExtendedModel
from ekle.errors import TrainingError
from ekle.model.layers.activation_checkpointing import enable_activation_checkpointing
from ekle.model.layers.dora import adapted_layers, attach, refresh_norms
from ekle.model.layers.new_rows import split_rows
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.recipe.training import DoraSettings, NeftuneSettings, TrainingSettings
from ekle.training.kernels import (
    choose_attention,
    float32_matmuls,
    packed_sequence_bounds,
    uncompiled,
    use_kernels,
)
from ekle.training.objective import Objective
from ekle.training.stage import Inputs, run

CPU, GPU = torch.device("cpu"), torch.device("cuda")
BF16, FP32 = torch.bfloat16, torch.float32


@pytest.fixture
def model(tiny_extended: ExtendedModel) -> Qwen3ForCausalLM:
    """Split rows and adapters that are no longer at their start."""
    loaded = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=FP32).requires_grad_(False)
    split_rows(loaded, tiny_extended.first_new_id)
    attach(loaded, DoraSettings(rank=2, alpha=2.0), generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, layer in adapted_layers(loaded):
            layer.lora_b.normal_(std=0.1, generator=generator)
    refresh_norms(loaded)
    return loaded


def packed(rows: int) -> dict[str, Tensor]:
    """`rows` rows of 24 tokens, cut into documents at other places in each."""
    generator = torch.Generator().manual_seed(2)
    positions = [
        torch.cat([torch.arange(cut), torch.arange(17 - cut), torch.arange(7)]) for cut in range(3, 3 + rows)
    ]
    ids, labels = (torch.randint(0, 430, (rows, 24), generator=generator) for _ in range(2))
    return {"input_ids": ids, "labels": labels, "position_ids": torch.stack(positions)}


def loss_and_gradients(model: Any, batch: dict[str, Tensor]) -> list[Tensor]:
    objective = Objective(model.train(), NeftuneSettings(alpha=0), torch.ones(430, dtype=torch.long))
    loss, _ = objective(**batch)
    loss.backward()
    return [loss.detach(), *(p.grad for p in objective.parameters() if p.grad is not None)]


# FlashAttention


@pytest.mark.parametrize(
    ("device", "dtype", "installed", "chosen"),
    [
        (GPU, BF16, True, "flash_attention_2"),
        (GPU, BF16, False, "sdpa"),
        (GPU, FP32, True, "sdpa"),
        (CPU, BF16, True, "sdpa"),
    ],
)
def test_flash_attention_is_taken_where_it_can_be(
    monkeypatch: pytest.MonkeyPatch,
    device: torch.device,
    dtype: torch.dtype,
    installed: bool,
    chosen: str,
) -> None:
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: installed)
    assert choose_attention(TrainingSettings(), device, dtype) == chosen
    assert choose_attention(TrainingSettings(attention="sdpa"), device, dtype) == "sdpa"
    named = TrainingSettings(attention="flash_attention_2")
    if chosen == "flash_attention_2":
        assert choose_attention(named, device, dtype) == chosen
    else:
        with pytest.raises(TrainingError, match=r"needs .*; auto does without"):
            choose_attention(named, device, dtype)


def by_document(
    q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, **rest: Any
) -> Tensor:
    """What flash_attn_varlen_func computes, the slow way: (tokens, heads, width), document by document."""
    assert rest["causal"]
    assert torch.equal(cu_seqlens_q, cu_seqlens_k)
    assert cu_seqlens_q.dtype == torch.int32
    assert rest["max_seqlen_q"] == cu_seqlens_q.diff().max()
    groups = q.shape[1] // k.shape[1]
    found = []
    for start, end in zip(cu_seqlens_q[:-1].tolist(), cu_seqlens_q[1:].tolist(), strict=True):
        parts = (q[start:end], *(t[start:end].repeat_interleave(groups, dim=1) for t in (k, v)))
        heads = [part.transpose(0, 1) for part in parts]
        scale = rest["softmax_scale"]
        found.append(scaled_dot_product_attention(*heads, is_causal=True, scale=scale).transpose(0, 1))
    return torch.cat(found)


def whole_rows(q: Tensor, k: Tensor, v: Tensor, **rest: Any) -> Tensor:
    """What flash_attn_func computes, which knows no documents."""
    groups = q.shape[2] // k.shape[2]
    parts = (q, *(t.repeat_interleave(groups, dim=2) for t in (k, v)))
    heads = [part.transpose(1, 2) for part in parts]
    attended = scaled_dot_product_attention(*heads, is_causal=True, scale=rest["softmax_scale"])
    return attended.transpose(1, 2)


class Process:
    """What makes their arguments: transformers 5.17 calls it, 5.23 takes it out of a pair."""

    def __call__(
        self, *, query_length: int, key_length: int, is_causal: bool, **kwargs: Any
    ) -> dict[str, Any]:
        return {"causal": is_causal, **kwargs}

    def __iter__(self) -> Iterator[Any]:
        return iter((self, None))


@pytest.fixture
def with_flash(model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch) -> Qwen3ForCausalLM:
    """The model on transformers' own path to FlashAttention, whose functions are the slow ones above."""
    functions = ((whole_rows, by_document, None, None, None), Process())
    monkeypatch.setattr(flash, "lazy_import_flash_attention", lambda *_: functions)
    copied = copy.deepcopy(model)
    copied.config._attn_implementation = "flash_attention_2"
    return copied


@pytest.mark.parametrize("rows", [1, 3])
def test_packed_documents_are_as_apart_with_flash_attention_as_with_sdpa(
    model: Qwen3ForCausalLM, with_flash: Qwen3ForCausalLM, rows: int
) -> None:
    batch = packed(rows)
    for ours, theirs in zip(
        loss_and_gradients(with_flash, batch), loss_and_gradients(model, batch), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_without_the_bounds_they_would_leak(
    model: Qwen3ForCausalLM, with_flash: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why `packed_sequence_bounds` is there: transformers looks at the positions of a single row only."""
    monkeypatch.setattr("ekle.training.objective.packed_sequence_bounds", lambda *_: {})
    batch = packed(3)
    leaking, right = loss_and_gradients(with_flash, batch)[0], loss_and_gradients(model, batch)[0]
    assert (leaking - right).abs() > 1e-4


def test_bounds_are_those_of_the_documents(with_flash: Qwen3ForCausalLM) -> None:
    positions = torch.tensor([[0, 1, 2, 0], [0, 0, 1, 2], [4, 5, 6, 7]])
    found = packed_sequence_bounds(with_flash, positions)
    assert found["cu_seq_lens_q"].tolist() == [0, 3, 4, 5, 8, 12]
    assert found["max_length_k"] == 4


def test_sdpa_needs_no_bounds(model: Qwen3ForCausalLM) -> None:
    assert packed_sequence_bounds(model, torch.tensor([[0, 1, 0]])) == {}


# TF32


@pytest.mark.parametrize(
    ("device", "tf32", "inside"), [(GPU, True, "high"), (GPU, False, "highest"), (CPU, True, "highest")]
)
def test_tf32_is_for_gpus_and_ends_with_training(device: torch.device, tf32: bool, inside: str) -> None:
    with float32_matmuls(TrainingSettings(tf32=tf32), device):
        assert torch.get_float32_matmul_precision() == inside
    assert torch.get_float32_matmul_precision() == "highest"


def test_norms_are_refreshed_in_full_precision(
    model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = torch.addmm

    def addmm(*args: Any, **kwargs: Any) -> Tensor:
        seen.append(torch.get_float32_matmul_precision())
        return original(*args, **kwargs)

    monkeypatch.setattr(torch, "addmm", addmm)
    with float32_matmuls(TrainingSettings(), GPU):
        refresh_norms(model)
        assert torch.get_float32_matmul_precision() == "high"
    assert set(seen) == {"highest"}


# torch.compile


def compiled(model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch) -> Qwen3ForCausalLM:
    """As `use_kernels` compiles it, but traced only: making machine code takes a minute."""
    compile_layer = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_layer(self, backend="aot_eager"))
    copied = copy.deepcopy(model)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    use_kernels(copied, TrainingSettings(compile=True), CPU)
    return copied


def test_compiled_layers_are_one_graph_without_a_break_and_learn_the_same(
    model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable_activation_checkpointing(model)
    ours = compiled(model, monkeypatch)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in model.named_parameters()]
    batch = packed(2)
    for traced, plain in zip(loss_and_gradients(ours, batch), loss_and_gradients(model, batch), strict=True):
        torch.testing.assert_close(traced, plain, atol=1e-6, rtol=1e-4)
    counters = torch._dynamo.utils.counters
    assert dict(counters["graph_break"]) == {}
    assert counters["stats"]["unique_graphs"] == 1, "all layers share it"


def test_a_compiled_layer_follows_the_norm(model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, batch = compiled(model, monkeypatch), packed(1)
    loss_and_gradients(ours, batch)
    for each in (ours, model):
        with torch.no_grad():
            for _, layer in adapted_layers(each):
                layer.lora_b.mul_(3)
        refresh_norms(each)
    torch.testing.assert_close(loss_and_gradients(ours, batch)[0], loss_and_gradients(model, batch)[0])


def test_a_run_with_compiled_layers_learns_the_same(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_layer = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_layer(self, backend="aot_eager"))
    settings = {
        "steps": 2,
        "batch_size": 2,
        "gradient_accumulation": 1,
        "sequence_length": 32,
        "optimizer": "adamw",
        "precision": "fp32",
        "dora": {"rank": 2, "alpha": 2.0},
    }
    rows = []
    for compiles in (False, True):
        torch._dynamo.reset()
        recipe = make_recipe({"name": "test", "training": {**settings, "compile": compiles}})
        (tmp_path / str(compiles)).mkdir()
        checkpoint = run(recipe, Inputs(tiny_corpus, tiny_extended), tmp_path / str(compiles), silent())
        rows.append(load_file(checkpoint.rows)["input"])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    torch.testing.assert_close(*rows, atol=1e-5, rtol=0)


def test_evaluation_does_not_compile(model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = compiled(model, monkeypatch)
    with uncompiled(), torch.no_grad():
        for length in (5, 9, 14):
            ids = torch.zeros(1, length, dtype=torch.long)
            torch.testing.assert_close(ours(ids).logits, model(ids).logits)
    assert "unique_graphs" not in torch._dynamo.utils.counters["stats"]


# Liger


def test_liger_is_refused_where_it_cannot_run(
    model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match="needs a CUDA GPU, and there is none"):
        use_kernels(model, TrainingSettings(liger=True), CPU)
    monkeypatch.setattr("transformers.utils.is_liger_kernel_available", lambda: False)
    with pytest.raises(TrainingError, match="needs the package liger-kernel"):
        use_kernels(model, TrainingSettings(liger=True), GPU)


def test_liger_gets_everything_but_the_loss(model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def apply(model: Any, **kwargs: Any) -> None:
        asked.update(kwargs, model=model)

    stand_in = SimpleNamespace(_apply_liger_kernel_to_instance=apply)
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", stand_in)
    monkeypatch.setitem(sys.modules, "liger_kernel", SimpleNamespace(transformers=stand_in))
    for place in ("transformers.utils", "transformers.integrations.liger"):
        monkeypatch.setattr(f"{place}.is_liger_kernel_available", lambda: True)
    use_kernels(model, TrainingSettings(liger=True), GPU)
    assert asked.pop("model") is model
    assert asked == {
        "rope": True,
        "rms_norm": True,
        "swiglu": True,
        "cross_entropy": False,
        "fused_linear_cross_entropy": False,
    }
