"""Which kernels compute the model: attention, float32 products, Liger's layers, compiled layers.

They change results by rounding alone. What a machine lacks is refused in one line if the recipe asks for it
by name, and left out if the recipe says "auto".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, assert_never

import torch
from torch import Tensor
from torch.nn import functional
from transformers.utils.generic import is_flash_attention_requested

from ekle.errors import TrainingError
from ekle.recipe.training import TrainingSettings
from ekle.training.data.packing import document_starts

Attention = Literal["sdpa", "flash_attention_2"]


def choose_attention(settings: TrainingSettings, device: torch.device, dtype: torch.dtype) -> Attention:
    """The attention to load the model with: FlashAttention 2 if it is installed and usable.

    Raises:
        TrainingError: the recipe asks for it by name, and it cannot be used.
    """
    lacking = _lacks_flash_attention(device, dtype)
    match settings.attention:
        case "auto":
            return "sdpa" if lacking else "flash_attention_2"
        case "sdpa":
            return "sdpa"
        case "flash_attention_2":
            if lacking:
                raise TrainingError(f'training.attention = "flash_attention_2" {lacking}; auto does without')
            return "flash_attention_2"
        case _:
            assert_never(settings.attention)


def packed_sequence_bounds(model: Any, position_ids: Tensor) -> dict[str, Any]:
    """The document bounds that FlashAttention needs; nothing for SDPA, whose mask transformers makes.

    From positions alone, transformers finds the ends of documents only in a batch of one row. With more rows
    every token would see the documents before its own.

    Args:
        model: a model of transformers.
        position_ids: (B, T), 0 at the start of each document.
    """
    if not is_flash_attention_requested(model.config):
        return {}
    starts = document_starts(position_ids)
    bounds = functional.pad(starts.flatten().nonzero()[:, 0], (0, 1), value=starts.numel()).to(torch.int32)
    longest = int(bounds.diff().max())
    return {
        "cu_seq_lens_q": bounds,
        "cu_seq_lens_k": bounds,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def check_liger(settings: TrainingSettings, device: torch.device) -> None:
    """Raise TrainingError if Liger is asked for and cannot be used."""
    if not settings.liger:
        return
    if device.type != "cuda":
        raise TrainingError("training.liger needs a CUDA GPU, and there is none; set it to false")
    from transformers.utils import is_liger_kernel_available

    if not is_liger_kernel_available():
        raise TrainingError("training.liger needs the package liger-kernel; install it, or set it to false")


def use_kernels(model: Any, settings: TrainingSettings, device: torch.device) -> None:
    """Give the layers of `model`, adapters attached, the kernels that the recipe asks for.

    Each decoder layer is compiled by itself. All layers share one graph, which is made once, and parameters
    keep their names.

    Raises:
        TrainingError: as `check_liger`.
    """
    check_liger(settings, device)
    if settings.liger:
        from transformers.integrations.liger import apply_liger_kernel

        # Its loss needs the whole head in one matrix, and a gradient for the frozen rows.
        losses = {"cross_entropy": False, "fused_linear_cross_entropy": False}
        apply_liger_kernel(model, {"rope": True, "rms_norm": True, "swiglu": True, **losses})
    if settings.compile:
        for layer in model.get_decoder().layers:
            layer.compile()


@contextmanager
def float32_matmuls(settings: TrainingSettings, device: torch.device) -> Iterator[None]:
    """Inside, a GPU multiplies float32 matrices in TF32 if the recipe allows it.

    DoRA's norms stay in full precision (`ekle.model.layers.dora.refresh_norms`).
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if settings.tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, compiled layers run uncompiled: every new length of text would compile them again."""
    with torch.compiler.set_stance("force_eager"):
        yield


def _lacks_flash_attention(device: torch.device, dtype: torch.dtype) -> str:
    """Why FlashAttention 2 cannot be used; empty if it can."""
    from transformers.utils import is_flash_attn_2_available

    if device.type != "cuda":
        return "needs a CUDA GPU"
    if dtype == torch.float32:
        return 'needs training.precision = "bf16" and a GPU that has it'
    return "" if is_flash_attn_2_available() else "needs the package flash-attn"
