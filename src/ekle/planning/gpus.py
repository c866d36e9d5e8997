"""How much memory a GPU has and how fast it multiplies, from its name or its size."""

import re
from dataclasses import dataclass

from ekle.errors import InputError
from ekle.files import read_table
from ekle.page.formatting import SPACE

_UNITS = {"GB": 10**9, "GiB": 2**30, "MB": 10**6, "MiB": 2**20}
_REFERENCE_GPU = "a100-40"  # the GPU of the guide; its speed is taken where only a size is given


@dataclass(frozen=True)
class Gpu:
    """Memory in bytes; operations per second in half precision (`flops`) and in float32."""

    name: str
    bytes: int
    flops: float
    fp32_flops: float
    bf16: bool = True
    """Whether it has bfloat16 in hardware."""
    speed_from: str = ""
    """The GPU whose speed is taken where only the memory is known."""


def find_gpu(text: str) -> Gpu:
    """The GPU that `--gpu` means: a name of the table, or its memory as "40GB", "39.5 GiB" or "40".

    Raises:
        InputError: `text` is neither.
    """
    wanted = re.sub(r"[\s_]", "", text)
    for gpu in known_gpus():
        if re.fullmatch(gpu.name, wanted, re.IGNORECASE):
            return gpu
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(GB|GiB|MB|MiB|)", wanted, re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        names = ", ".join(gpu.name for gpu in known_gpus())
        raise InputError(f"--gpu {text}: give a size such as 40GB, or one of {names}")
    unit = next(size for name, size in _UNITS.items() if re.fullmatch(name, found[2] or "GB", re.IGNORECASE))
    return gpu_of_size(round(float(found[1]) * unit))


def gpu_of_size(size: int, name: str = "", bf16: bool | None = None) -> Gpu:
    """A GPU of which only the memory is known, and perhaps what its driver says of it.

    Args:
        size: bytes of memory.
        name: as the driver gives it.
        bf16: whether it multiplies bfloat16 in hardware; None takes that of the table, or True.
    """
    for gpu in known_gpus():
        model = gpu.name.partition("-")[0]
        if name and re.search(rf"\b{model}(?!\d)", name.replace("RTX ", "rtx"), re.IGNORECASE):
            return Gpu(name, size, gpu.flops, gpu.fp32_flops, gpu.bf16 if bf16 is None else bf16)
    like = next(gpu for gpu in known_gpus() if gpu.name == _REFERENCE_GPU)
    said = name or f"{size / 1e9:g}{SPACE}GB"
    return Gpu(said, size, like.flops, like.fp32_flops, bf16 is not False, speed_from=like.name)


def known_gpus() -> list[Gpu]:
    """The GPUs of `data/gpus.tsv`, older ones first."""
    return [
        Gpu(
            row["name"],
            round(float(row["gibibytes"]) * 2**30),
            float(row["teraflops"]) * 1e12,
            float(row["fp32"]) * 1e12,
            row["bf16"] == "yes",
        )
        for row in read_table("ekle.planning", "gpus")
    ]
