"""The device that a model runs on: its type, precision and name, and how much memory it has."""

import os
import sys
from pathlib import Path

import torch


def inference_device() -> tuple[torch.device, torch.dtype]:
    """Device and precision for a model that is only read: a GPU and bfloat16, or the CPU and float32."""
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.bfloat16
    return torch.device("cpu"), torch.float32


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


def first_gpu() -> tuple[int, str] | None:
    """Bytes that this process may use on the first GPU, and its name; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    free, installed = torch.cuda.mem_get_info()
    allowed = round(torch.cuda.get_per_process_memory_fraction() * installed)
    return min(free + torch.cuda.memory_reserved(), allowed), torch.cuda.get_device_name()


def memory_bytes() -> int:
    """Memory in bytes of the device that `inference_device` names; of a GPU, what this process may use."""
    if (gpu := first_gpu()) is not None:
        return gpu[0]
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system tells
        return sys.maxsize
