"""The GPU of this machine."""

import torch


def gpu_here() -> tuple[int, str] | None:
    """Bytes that this process may have on the first GPU, and its name; None where there is none."""
    if not torch.cuda.is_available():
        return None
    free, whole = torch.cuda.mem_get_info()
    allowed = round(torch.cuda.get_per_process_memory_fraction() * whole)
    return min(free + torch.cuda.memory_reserved(), allowed), torch.cuda.get_device_name()
