"""The learning rate over the steps."""

import math

import pytest

from ekle.training.optimizers.schedule import rate_factor


def rates(steps: int, warmup: float, schedule: str) -> list[float]:
    return [rate_factor(step, steps, warmup, schedule) for step in range(steps)]  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_it_rises_in_equal_stages_and_every_step_moves(schedule: str) -> None:
    values = rates(100, 0.05, schedule)
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert min(values) > 0
    assert max(values) == 1


def test_the_shapes_after_the_rise() -> None:
    assert rates(100, 0.0, "constant") == [1.0] * 100
    assert rates(100, 0.0, "linear")[50] == pytest.approx(0.5)
    assert rates(100, 0.0, "cosine")[25] == pytest.approx(0.5 + 0.5 * math.cos(math.pi / 4))


def test_a_single_step_uses_the_full_rate() -> None:
    assert rates(1, 0.05, "cosine") == [1.0]
