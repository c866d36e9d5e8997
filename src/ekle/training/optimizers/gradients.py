"""The gradients of all that learns: their norm, clipping, dropping."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ekle.model.distributed import full_tensor


def drop_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Drop the gradients; an optimiser does not change a parameter without one."""
    for parameter in parameters:
        parameter.grad = None


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Norm of all gradients together, a scalar; for all processes (`ekle.model.distributed`)."""
    return full_tensor(get_total_norm([p.grad for p in parameters if p.grad is not None]))


def clip_gradients(parameters: Iterable[nn.Parameter], longest: float) -> Tensor:
    """Scale all gradients together to a norm of at most `longest`; returns their norm before."""
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    norm = gradient_norm(learning)
    clip_grads_with_norm_(learning, longest, norm)
    return norm
