"""DoRA: weight-decomposed low-rank adaptation (Liu et al. 2024, arXiv:2402.09353), as fast as LoRA.

A linear layer W (out, in) becomes

    W' = m / ||W + s B A|| * (W + s B A)        row by row, m (out), A (r, in), B (out, r)

where the norm is a constant in the gradient (section 4.3 of the paper) and s is alpha / sqrt(r)
(rsLoRA, Kalajdzievski 2023, arXiv:2312.03732) or alpha / r. No forward or backward pass builds W + s B A.

Only the norms need it, and they change only when A or B do: `refresh_norms` computes them, a few rows of
W + s B A at a time. Call it once after every step of the optimiser, and after any other change of A or B.
An automatic cache would have to notice every kind of in-place change; optimisers that write through
`.data` are not noticed. The factored form of the norm,

    ||W + s B A||^2 = ||W||^2 + 2 s rowsum((W A^T) * B) + s^2 rowsum((B A A^T) * B)

needs no memory of the size of W either, but more operations: r (in r + out r + in out) instead of r in out.
docs/dora-norm.md times both; decision 0009 says why ekle computes the rows.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ekle.errors import CheckpointError
from ekle.model.chunk_sizes import WEIGHTS_PER_CHUNK
from ekle.model.distributed import full_tensor, full_tensor_like, local_shard
from ekle.recipe.training import DoraSettings


def scale_of(dora: DoraSettings) -> float:
    """s, the factor of B A."""
    return dora.alpha / (math.sqrt(dora.rank) if dora.rslora else dora.rank)


class DoraLinear(nn.Module):
    """A frozen linear layer with a trainable magnitude (out,), A (r, in) and B (out, r).

    `linear` keeps the base weight in its own precision. Trainable parameters have `dtype`, and the norm is
    always float32.
    """

    norm: Tensor

    def __init__(
        self, linear: nn.Linear, settings: DoraSettings, dtype: torch.dtype, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.settings = settings
        self.scale = scale_of(settings)
        device = linear.weight.device
        # As in PEFT, A starts uniform (Kaiming with a = sqrt(5)) and B at 0, so that W' = W.
        bound = 1 / math.sqrt(linear.in_features)
        start = torch.empty(settings.rank, linear.in_features).uniform_(-bound, bound, generator=generator)
        self.lora_a = nn.Parameter(start.to(device, dtype))
        self.lora_b = nn.Parameter(
            torch.zeros(linear.out_features, settings.rank, device=device, dtype=dtype)
        )
        norm = torch.cat([rows.float().norm(dim=1) for rows in _row_chunks(linear.weight.detach())])
        self.register_buffer("norm", norm, persistent=False)
        self.magnitude = nn.Parameter(self.norm.to(dtype, copy=True))
        self.disabled = False
        """Whether the layer computes what the base's layer does; see `disable_adapters`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        if self.disabled:
            base_output: Tensor = self.linear(inputs)
            return base_output
        apply: Any = _DoraFunction.apply
        output: Tensor = apply(
            inputs,
            self.linear.weight,
            self.linear.bias,
            self.lora_a,
            self.lora_b,
            self.magnitude,
            self.norm,
            self.scale,
        )
        return output

    @torch.no_grad()
    def refresh_norm(self) -> None:
        """Recompute `norm` from the current A and B, in float32; collective (`ekle.model.distributed`).

        W and B are sharded alike, so a process needs the full A for the norms of its own rows.
        """
        weight, a, b = (
            local_shard(self.linear.weight),
            full_tensor(self.lora_a).float(),
            local_shard(self.lora_b).float(),
        )
        norm, start = self.norm.new_empty(len(weight)), 0
        for rows in _row_chunks(weight):
            part = slice(start, start + len(rows))
            norm[part] = torch.addmm(rows.float(), b[part], a, alpha=self.scale).norm(dim=1)
            start += len(rows)
        self.norm.copy_(full_tensor_like(norm, self.linear.weight))


class _DoraFunction(torch.autograd.Function):
    """y = g * (x W^T + s x A^T B^T) + bias with g = m / norm, and its gradients.

    Kept for the backward pass are x, y (which the next operation mostly keeps too) and x A^T, which has only
    the rank as its width. The gradient of m takes z = (y - bias) / g, which saves a second product with W.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        lora_a: Tensor,
        lora_b: Tensor,
        magnitude: Tensor,
        norm: Tensor,
        scale: float,
    ) -> Tensor:
        x = inputs.reshape(-1, inputs.shape[-1])
        x_a = x @ lora_a.to(x.dtype).T
        output = x @ weight.T
        output.addmm_(x_a, lora_b.to(x.dtype).T, alpha=scale)
        # The gain stays in float32: near 1, bfloat16 is too coarse for what m learns.
        output.mul_(_gain(magnitude, norm))
        if bias is not None:
            output.add_(bias)
        output = output.view(*inputs.shape[:-1], -1)
        ctx.save_for_backward(inputs, output, x_a, weight, bias, lora_a, lora_b, magnitude, norm)
        ctx.scale = scale
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        inputs, output, x_a, weight, bias, lora_a, lora_b, magnitude, norm = ctx.saved_tensors
        scale = ctx.scale
        x = inputs.reshape(-1, inputs.shape[-1])
        grad_y = grad_output.reshape(-1, grad_output.shape[-1])
        grad_x = grad_a = grad_b = grad_magnitude = None
        if ctx.needs_input_grad[5]:
            y = output.reshape(grad_y.shape)
            product = (grad_y * (y if bias is None else y - bias)).sum(dim=0, dtype=torch.float32)
            # A row with magnitude 0 gives y = bias, from which z cannot be computed.
            grad_magnitude = torch.where(magnitude == 0, 0.0, product / magnitude).to(magnitude.dtype)
        grad_y = torch.mul(grad_y, _gain(magnitude, norm), out=torch.empty_like(grad_y))
        grad_x_a = (grad_y @ lora_b.to(x.dtype)).mul_(scale)
        if ctx.needs_input_grad[0]:
            grad_x = grad_y @ weight
            grad_x.addmm_(grad_x_a, lora_a.to(x.dtype))
            grad_x = grad_x.view(inputs.shape)
        if ctx.needs_input_grad[3]:
            grad_a = (grad_x_a.T @ x).to(lora_a.dtype)
        if ctx.needs_input_grad[4]:
            grad_b = (grad_y.T @ x_a).to(lora_b.dtype).mul_(scale)
        return grad_x, None, None, grad_a, grad_b, grad_magnitude, None, None


def attach(
    model: nn.Module,
    dora: DoraSettings,
    *,
    dtype: torch.dtype = torch.float32,
    generator: torch.Generator | None = None,
) -> None:
    """Wrap every linear layer of `model` that `dora.targets` names; the model's outputs do not change.

    Args:
        model: its layers are replaced in place, and their weights frozen.
        dora: rank, scale and layers.
        dtype: precision of magnitude, A and B.
        generator: samples A, on the CPU; None takes PyTorch's global one.

    Raises:
        CheckpointError: the model has no such layer, or has adapters already.
    """
    if any(True for _ in adapted_layers(model)):
        raise CheckpointError("the model has DoRA adapters already")
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in dora.targets
    ]
    if not found:
        raise CheckpointError(f"the model has no linear layer named {', '.join(dora.targets)}")
    for name in found:
        parent, _, leaf = name.rpartition(".")
        holder = model.get_submodule(parent)
        setattr(holder, leaf, DoraLinear(getattr(holder, leaf), dora, dtype, generator))


def adapted_layers(model: nn.Module) -> Iterator[tuple[str, DoraLinear]]:
    """Every adapted layer with its dotted name."""
    for name, module in model.named_modules():
        if isinstance(module, DoraLinear):
            yield name, module


@contextmanager
def disable_adapters(model: nn.Module) -> Iterator[None]:
    """Inside the context, every adapted layer of `model` computes what the base's layer does."""
    layers = [layer for _, layer in adapted_layers(model)]
    for layer in layers:
        layer.disabled = True
    try:
        yield
    finally:
        for layer in layers:
            layer.disabled = False


def refresh_norms(model: nn.Module) -> None:
    """Recompute all norms; call it after every step of the optimiser. Collective."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        for _, layer in adapted_layers(model):
            layer.refresh_norm()
    finally:
        torch.set_float32_matmul_precision(precision)


@torch.no_grad()
def merged_weights(weight: Tensor, lora_a: Tensor, lora_b: Tensor, magnitude: Tensor, scale: float) -> Tensor:
    """W' (out, in), computed in float32 and returned in the precision of `weight`."""
    direction = weight.float() + scale * (lora_b.float() @ lora_a.float())
    norm = torch.linalg.vector_norm(direction, dim=1)
    return direction.mul_(_gain(magnitude, norm).unsqueeze(1)).to(weight.dtype)


def _gain(magnitude: Tensor, norm: Tensor) -> Tensor:
    """m / norm in float32; 0 for a row of zeros, which has no direction."""
    return torch.where(norm > 0, magnitude.float() / norm, 0.0)


def _row_chunks(weight: Tensor) -> tuple[Tensor, ...]:
    """The matrix in chunks of full rows."""
    return torch.split(weight, max(WEIGHTS_PER_CHUNK // weight.shape[1], 1))
