"""The lower part of a model, sharing its weights."""

import copy
from typing import Any

from torch import nn


def first_layers(model: Any, count: int) -> Any:
    """The decoder of `model` up to layer `count`, without the last norm.

    Its `last_hidden_state` (B, T, D) is the residual stream after `count` layers, which is what
    `output_hidden_states` gives at place `count`. Weights are shared, so it costs no memory.

    Args:
        model: a causal language model of transformers whose decoder has `layers` and `norm`.
        count: layers to keep, from 1 to all.
    """
    decoder = model.get_decoder()
    short = copy.copy(decoder)
    short._modules = dict(decoder._modules)  # the copy would share the dictionary and change the model
    short.layers = nn.ModuleList(decoder.layers[:count])
    short.norm = nn.Identity()
    short.config = copy.copy(decoder.config)
    short.config.num_hidden_layers = count
    return short
