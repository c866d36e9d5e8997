"""The device that a figure is measured on: which one it is, its clock, and how to wait for it."""

import time

import torch


def default_device() -> torch.device:
    """A GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def clock() -> float:
    """Seconds: of CPU time that this process has used, or on a GPU of time that has passed."""
    return time.monotonic() if torch.cuda.is_available() else time.process_time()


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished its queue; a CPU has none."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
