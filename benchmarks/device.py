"""The device that a figure was measured on, as pages name it."""

from pathlib import Path

import torch


def device_name() -> str:
    """The GPU, or the processor with the threads that PyTorch takes of it."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    """As Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "a CPU")
