"""The gradients of all that learns together: their length, made shorter, forgotten."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ekle.model.distributed import full_tensor


def drop_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Forget the gradients; an optimiser leaves a parameter without one alone."""
    for parameter in parameters:
        parameter.grad = None


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Length of all gradients together, a scalar; for all processes (`ekle.model.distributed`)."""
    return full_tensor(get_total_norm([p.grad for p in parameters if p.grad is not None]))


def clip_gradients(parameters: Iterable[nn.Parameter], longest: float) -> Tensor:
    """Shorten all gradients together to `longest` where they are longer; returns what they were."""
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    norm = gradient_norm(learning)
    clip_grads_with_norm_(learning, longest, norm)
    return norm
