"""Activations that are recomputed in the backward pass instead of kept."""

from typing import Any


def enable_activation_checkpointing(model: Any, *, reentrant: bool = False) -> None:
    """Keep only the input of each decoder layer of a transformers model until the backward pass.

    Chen et al., *Training Deep Nets with Sublinear Memory Cost* (2016), section 4; costs a second forward
    pass.

    transformers renamed the method between 5.17 and 5.23; both names are tried.

    Args:
        model: a model of transformers; changed in place.
        reentrant: whether to use PyTorch's older variant, which recomputes the layer in a graph of its own.
    """
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})
