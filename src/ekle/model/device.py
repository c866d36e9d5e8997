"""The device that a model runs on: its type, precision and name, and how much memory it has."""

import os
import sys
from pathlib import Path

import torch

BF16_WIDTH = 256
"""Width of a model, its hidden size, from which a training step in bfloat16 is faster on a CPU with AMX.

By `python -m benchmarks.steps.precision` (docs/log.md): 1.6 to 2.2 times as fast from here on, and below it
no faster, because there the products are a small part of the step.
"""
_BF16_CAPABILITY = (8, 0)  # Ampere; a T4 has 7.5, and PyTorch emulates bfloat16 there


def inference_device() -> tuple[torch.device, torch.dtype]:
    """Device and precision to measure a model with: a GPU and bfloat16, or float32 where it is exact.

    A CPU measures in float32 even where bfloat16 is faster: a comparison of two models should not carry
    another rounding than the one that the reader's own CPU has. So does a GPU without bfloat16.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda")
        return device, torch.bfloat16 if has_bf16_matmuls(device) else torch.float32
    return torch.device("cpu"), torch.float32


def has_bf16_matmuls(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware, and gains by it.

    True for GPUs of compute capability 8.0 and above, and for CPUs with AMX. CPUs that have AVX-512 BF16
    alone, and those of other makers than Intel, have not been measured and count as without.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _BF16_CAPABILITY
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # older versions of PyTorch lack it
    return capabilities is not None and bool(capabilities().get("amx_bf16"))


def lacks_bf16(device: torch.device, width: int) -> str:
    """Why a model of `width`, its hidden size, should not compute in bfloat16; empty if it should."""
    if not has_bf16_matmuls(device):
        name = device_name(device) if device.type == "cuda" else "this CPU"
        return f"{name} has no bf16 in hardware"
    if device.type == "cpu" and width < BF16_WIDTH:
        return f"on a CPU, a model {width} wide gains nothing by bf16 (from {BF16_WIDTH} on it does)"
    return ""


def frozen_precision(device: torch.device, width: int) -> torch.dtype:
    """For frozen weights and products with them: bfloat16, or float32 where `lacks_bf16` says why."""
    return torch.float32 if lacks_bf16(device, width) else torch.bfloat16


def device_name(device: torch.device) -> str:
    """The name of the GPU, or of the CPU with the number of threads that PyTorch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"


def _cpu_name() -> str:
    """The name of the CPU as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "a CPU")


def first_gpu() -> tuple[int, str, bool] | None:
    """Bytes that this process may use on the first GPU, its name, whether it has bf16; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    free, installed = torch.cuda.mem_get_info()
    allowed = round(torch.cuda.get_per_process_memory_fraction() * installed)
    usable = min(free + torch.cuda.memory_reserved(), allowed)
    return usable, torch.cuda.get_device_name(), has_bf16_matmuls(torch.device("cuda"))


def memory_bytes() -> int:
    """Memory in bytes of the device that `inference_device` names; of a GPU, what this process may use."""
    if (gpu := first_gpu()) is not None:
        return gpu[0]
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system tells
        return sys.maxsize
