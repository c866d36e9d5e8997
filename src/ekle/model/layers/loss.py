"""Cross-entropy over a large vocabulary without its logits.

With 171,936 output embeddings, the logits of 16,384 tokens are 11 GB in float32, and autograd keeps them
twice. Here they exist for one chunk of tokens at a time: the forward pass computes from them the loss and
also the gradients of the hidden states and of the trainable rows. Frozen rows get no gradient.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ekle.model.chunk_sizes import chunk_tokens

IGNORED = -100
"""Label of a position that does not count, as in `torch.nn.functional.cross_entropy`."""

Reduction = Literal["mean", "sum", "none"]


def chunk_size(rows: int, device: torch.device) -> int:
    """Tokens per chunk, for a vocabulary of `rows`, that keep the device busy with little memory."""
    return chunk_tokens(rows, device.type)


def row_blocks(head: nn.Module) -> tuple[Tensor, ...]:
    """The embedding matrices of an output layer, in the order of their ids, each (rows, D).

    A layer of several matrices has them as `blocks` (see `ekle.model.layers.new_rows.SplitHead`). Any other
    layer is taken as a linear layer without bias.
    """
    blocks: tuple[Tensor, ...] | None = getattr(head, "blocks", None)
    if blocks is not None:
        return blocks
    if getattr(head, "bias", None) is not None:
        raise ValueError("an output layer with a bias is not supported; Qwen3 has none")
    weight: Tensor = head.weight  # type: ignore[assignment]
    return (weight,)


def chunked_cross_entropy(
    hidden: Tensor, head: nn.Module, labels: Tensor, chunk: int, reduction: Reduction = "mean"
) -> Tensor:
    """`F.cross_entropy(head(hidden), labels)`, computed chunk by chunk.

    Args:
        hidden: (N, D), the last hidden states.
        head: output layer over V rows; only rows that require a gradient get one.
        labels: (N,) ids below V, or `IGNORED`.
        chunk: tokens whose logits are in memory at a time.
        reduction: "none" gives (N,) losses without a gradient.

    Returns:
        Nats: a scalar in float32, or (N,) of them; 0 at ignored positions.
    """
    counted = (labels != IGNORED).to(torch.float32)
    match reduction:
        case "none":
            return weighted_cross_entropy(hidden, head, labels, counted, chunk)[1]
        case "sum":
            return weighted_cross_entropy(hidden, head, labels, counted, chunk)[0]
        case "mean":
            return weighted_cross_entropy(hidden, head, labels, counted / counted.sum(), chunk)[0]


def weighted_cross_entropy(
    hidden: Tensor, head: nn.Module, labels: Tensor, weights: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    """The sum of the losses times `weights` (N,), and the single losses (N,) without a gradient."""
    blocks = row_blocks(head)
    with_grad = torch.is_grad_enabled()
    weights = weights.to(torch.float32) * (labels != IGNORED)
    apply: Any = _ChunkedCrossEntropy.apply
    total, losses = apply(hidden, labels, weights, chunk, with_grad, *blocks)
    return total, losses


@torch.no_grad()
def sample_labels(hidden: Tensor, head: nn.Module, chunk: int, uniforms: Tensor) -> Tensor:
    """One id per position, (N,), sampled from the model's own distribution (for Gauss-Newton-Bartlett).

    Args:
        hidden: (N, D), the last hidden states.
        head: output layer.
        chunk: tokens whose logits are in memory at a time.
        uniforms: (N,), uniform on [0, 1): where each sample is in the cumulated distribution.
    """
    buffer = _LogitsBuffer(hidden, row_blocks(head), chunk)
    sampled = []
    for states, points in zip(torch.split(hidden, chunk), torch.split(uniforms[:, None], chunk), strict=True):
        logits = buffer.logits(states)
        logits.sub_(logits.amax(dim=1, keepdim=True)).exp_()
        cumulated = torch.cumsum(logits, dim=1, out=logits)
        sampled.append(torch.searchsorted(cumulated, points * cumulated[:, -1:], right=True).squeeze(1))
    # Rounding can put a point behind the last row.
    return torch.cat(sampled).clamp_(max=buffer.rows - 1)


class _LogitsBuffer:
    """Memory for the logits of one chunk, allocated once: fresh pages cost a CPU as much as the sums."""

    def __init__(self, hidden: Tensor, blocks: tuple[Tensor, ...], chunk: int) -> None:
        self.blocks = [block.to(hidden.dtype) for block in blocks]
        self.rows = sum(len(block) for block in blocks)
        size = (min(chunk, len(hidden)), self.rows)
        self._product = hidden.new_empty(size)
        half = hidden.dtype != torch.float32
        self._float = hidden.new_empty(size, dtype=torch.float32) if half else self._product

    def logits(self, states: Tensor) -> Tensor:
        """Logits (n, V) in float32 of a product in the precision of the states; valid until the next call."""
        count, start = len(states), 0
        for block in self.blocks:
            torch.mm(states, block.T, out=self._product[:count, start : start + len(block)])
            start += len(block)
        if self._float is not self._product:
            self._float[:count].copy_(self._product[:count])
        return self._float[:count]

    def in_states_dtype(self, grad_logits: Tensor) -> Tensor:
        """`grad_logits`, which reuses what `logits` returned, in the precision of the states."""
        if self._float is self._product:
            return grad_logits
        return self._product[: len(grad_logits)].copy_(grad_logits)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Computes the gradients in the forward pass, while the chunk's probabilities are in memory."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        labels: Tensor,
        weights: Tensor,
        chunk: int,
        with_grad: bool,
        *blocks: Tensor,
    ) -> tuple[Tensor, Tensor]:
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        need_hidden = with_grad and ctx.needs_input_grad[0]
        grad_hidden = torch.zeros_like(hidden) if need_hidden else None
        grad_blocks = [
            torch.zeros_like(block, dtype=torch.float32) if with_grad and needed else None
            for block, needed in zip(blocks, ctx.needs_input_grad[5:], strict=True)
        ]
        with_grad = need_hidden or any(grad is not None for grad in grad_blocks)
        buffer = _LogitsBuffer(hidden, blocks, chunk)
        for start in range(0, len(hidden), chunk):
            part = slice(start, start + chunk)
            states, weight = hidden[part], weights[part, None]
            targets = labels[part, None]
            counted = targets != IGNORED
            targets = targets.clamp(min=0)
            logits = buffer.logits(states)
            top = logits.amax(dim=1, keepdim=True)
            target_logits = logits.gather(1, targets)
            exp_logits = logits.sub_(top).exp_()
            total = exp_logits.sum(dim=1, keepdim=True)
            losses[part] = ((total.log() + top - target_logits) * counted).squeeze(1)
            if not with_grad:
                continue
            # d loss / d logits = weight x (probability - [label]), in place of the probabilities
            grad_logits = buffer.in_states_dtype(
                exp_logits.mul_(weight / total).scatter_add_(1, targets, -weight)
            )
            first = 0
            for block, grad in zip(buffer.blocks, grad_blocks, strict=True):
                share = grad_logits[:, first : first + len(block)]
                if grad_hidden is not None:
                    grad_hidden[part].addmm_(share, block)
                if grad is not None and states.dtype == torch.float32:
                    grad.addmm_(share.T, states)
                elif grad is not None:
                    grad += share.T @ states
                first += len(block)
        ctx.gradients = (grad_hidden, grad_blocks)
        ctx.mark_non_differentiable(losses)
        return losses @ weights, losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError("the chunked loss keeps its gradients for one backward pass only")
        grad_hidden, grad_blocks = ctx.gradients
        ctx.gradients = None
        gradients = [grad.mul_(grad_total) if grad is not None else None for grad in grad_blocks]
        if grad_hidden is not None:
            grad_hidden.mul_(grad_total)
        return (grad_hidden, None, None, None, None, *gradients)
