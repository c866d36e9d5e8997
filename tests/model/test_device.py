"""Which devices compute in bfloat16."""

from types import SimpleNamespace

import pytest
import torch

from ekle.model import device as devices
from ekle.model.device import (
    BF16_WIDTH,
    first_gpu,
    frozen_precision,
    has_bf16_matmuls,
    inference_device,
    lacks_bf16,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def cpu_with(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(devices.torch, "cpu", SimpleNamespace(get_capabilities=lambda: capabilities))


def gpu_with(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: name)


def test_a_cpu_with_amx_takes_bfloat16_for_wide_models_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_with(monkeypatch, amx_bf16=True)
    assert has_bf16_matmuls(CPU)
    assert frozen_precision(CPU, BF16_WIDTH) == torch.bfloat16
    assert frozen_precision(CPU, BF16_WIDTH - 1) == torch.float32
    assert "64 wide" in lacks_bf16(CPU, 64)


def test_a_cpu_without_amx_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_with(monkeypatch, avx512_bf16=True, amx_bf16=False)
    assert frozen_precision(CPU, 4096) == torch.float32
    cpu_with(monkeypatch, neon=True)
    assert lacks_bf16(CPU, 4096) == "this CPU has no bf16 in hardware"
    monkeypatch.setattr(devices.torch, "cpu", SimpleNamespace())  # a PyTorch that cannot tell
    assert not has_bf16_matmuls(CPU)


@pytest.mark.parametrize(
    ("capability", "name", "dtype"),
    [
        ((7, 5), "Tesla T4", torch.float32),
        ((7, 0), "Tesla V100-SXM2-16GB", torch.float32),
        ((8, 0), "NVIDIA A100-SXM4-40GB", torch.bfloat16),
        ((8, 9), "NVIDIA L4", torch.bfloat16),
        ((9, 0), "NVIDIA H100 80GB HBM3", torch.bfloat16),
    ],
)
@pytest.mark.parametrize("width", [64, 4096])
def test_a_gpu_takes_bfloat16_if_it_has_it_in_hardware(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], name: str, dtype: torch.dtype, width: int
) -> None:
    gpu_with(monkeypatch, capability, name)
    assert frozen_precision(GPU, width) == dtype
    assert inference_device() == (GPU, dtype)
    assert lacks_bf16(GPU, width) == ("" if dtype == torch.bfloat16 else f"{name} has no bf16 in hardware")


def test_a_plan_hears_whether_the_gpu_has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_with(monkeypatch, (7, 5), "Tesla T4")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (15 * 10**9, 16 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: 1.0)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 0)
    assert first_gpu() == (15 * 10**9, "Tesla T4", False)


def test_a_cpu_measures_in_float32_even_with_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_with(monkeypatch, amx_bf16=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert inference_device() == (CPU, torch.float32)
