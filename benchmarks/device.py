"""The device that a figure is measured on: what pages call it, and waiting for it."""

from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """The GPU, or the processor with the threads that PyTorch takes of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was told; a processor has by then."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor() -> str:
    """As Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "a CPU")
