"""The device that a model is read on: which it is, in what precision, and what it is called."""

from pathlib import Path

import torch


def device_here() -> tuple[torch.device, torch.dtype]:
    """Where a model that does not learn is read: in bfloat16 on a GPU if there is one, else float32."""
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.bfloat16
    return torch.device("cpu"), torch.float32


def device_name(device: torch.device) -> str:
    """The GPU, or the processor with the threads that PyTorch takes of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    """As Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "a CPU")
