"""The length of an update as a share of the weights."""

import pytest
import torch
from torch import nn

from ekle.training.watching.movement import Movement


def test_the_ratio_is_that_of_the_lengths_of_each_group() -> None:
    first, second = nn.Parameter(torch.full((4,), 2.0)), nn.Parameter(torch.full((2, 2), 3.0))
    zero = nn.Parameter(torch.zeros(3))
    groups = [{"name": "a", "params": [first, second]}, {"name": "b", "params": [zero]}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    movement = Movement(optimizer, lambda sums: 2 * sums)  # as of two processes that hold the same
    movement.begin()
    first.grad, second.grad, zero.grad = torch.ones(4), torch.zeros(2, 2), torch.ones(3)
    optimizer.step()
    figures = movement.figures()
    assert figures == {"update_to_weight_a": pytest.approx((4 * 0.1**2 / (4 * 4 + 4 * 9)) ** 0.5, rel=1e-6)}


def test_a_large_parameter_is_sampled_evenly() -> None:
    large = nn.Parameter(torch.ones(10_000))
    optimizer = torch.optim.SGD([{"name": "a", "params": [large]}], lr=0.1)
    movement = Movement(optimizer, lambda sums: sums)
    movement.begin()
    with torch.no_grad():
        large[::2] += 0.5
    assert movement.figures()["update_to_weight_a"] == pytest.approx(0.5**1.5, rel=0.02)
