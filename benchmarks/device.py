"""Waiting for the device that a figure is measured on."""

import torch


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was told; a processor has by then."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
