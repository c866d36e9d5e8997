"""The benchmarks of DoRA run on a small model, and what they time computes what it should."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import dora, dora_norm
from ekle.model.layers.dora import DoraLinear
from ekle.recipe.training import DoraSettings


def cells(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if "|" in line][2:]


@pytest.mark.slow(seconds=10)
def test_both_doras_are_timed_and_compute_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--shape", "tiny", "--layers", "1", "--tokens", "16", "--accumulation", "2", "--ranks", "4"]
    words += ["--steps", "1", "--rounds", "1", "--device", "cpu", "--dtype", "fp32"]
    words += ["--kinds", "DoRA (PEFT)", "DoRA (ekle)", "--out", str(tmp_path / "dora.md")]
    monkeypatch.setattr(sys, "argv", ["dora", *words])
    dora.main()
    theirs, ours = cells((tmp_path / "dora.md").read_text("utf-8"))
    assert (theirs[1], ours[1]) == ("DoRA (PEFT)", "DoRA (ekle)")
    assert float(ours[-1]) == pytest.approx(float(theirs[-1]), rel=1e-5)  # the loss after two steps
    assert float(ours[5]) == pytest.approx(float(theirs[2]) / float(ours[2]), rel=0.1)
    assert theirs[5] == "1.00"
    assert ours[6] == ""  # LoRA was not asked for


def test_the_widths_are_those_of_a_folder(tmp_path: Path) -> None:
    """A Qwen2.5 of 0.5B has seven query heads for each key head, and heads that its file does not size."""
    sizes = {"hidden_size": 56, "intermediate_size": 80, "num_attention_heads": 7, "num_key_value_heads": 1}
    config = {**sizes, "num_hidden_layers": 24, "vocab_size": 999}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    options = Namespace(base=tmp_path, shape="8b", layers=1, dtype="fp32", device="cpu")
    model, _ = dora.build("DoRA (ekle)", 4, options)
    layer = model.get_decoder().layers[0]
    assert len(model.get_decoder().layers) == 1
    assert layer.self_attn.q_proj.linear.weight.shape == (56, 56)
    assert layer.self_attn.k_proj.linear.weight.shape == (8, 56)
    assert layer.mlp.up_proj.linear.weight.shape == (80, 56)


def test_the_factored_norm_is_the_norm() -> None:
    linear = nn.Linear(5, 7, bias=False)
    layer = DoraLinear(
        linear, DoraSettings(rank=2, alpha=3.0), torch.float32, torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        layer.lora_b.normal_(generator=torch.Generator().manual_seed(1))
    squares = linear.weight.detach().square().sum(1)
    whole = (linear.weight + layer.scale * layer.lora_b @ layer.lora_a).norm(dim=1)
    assert not torch.allclose(whole, squares.sqrt(), rtol=0.01)
    torch.testing.assert_close(dora_norm.factored_norm(layer, squares), whole)


def test_both_norms_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dora_norm, "SHAPES", {"small": ((64, 128),)})
    words = ["--shapes", "small", "--ranks", "8", "--rounds", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["dora_norm", *words, "--out", str(tmp_path / "norm.md")])
    dora_norm.main()
    (row,) = cells((tmp_path / "norm.md").read_text("utf-8"))
    assert row[:2] == ["64 x 128", "8"]
    assert row[5] == "1.19"  # 1 + 8 x (64 + 128) / (64 x 128)
    assert all(0 < float(error) < 1e-5 for error in row[6:])
