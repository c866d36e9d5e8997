"""How the learning rate moves over the steps."""

import math
from typing import assert_never

from ekle.recipe.training import Schedule


def rate_factor(step: int, steps: int, warmup: float, schedule: Schedule) -> float:
    """Share of the full learning rate that step number `step` (from 0) of `steps` uses.

    It rises in equal stages over the first `warmup` share of the steps. The first step already moves
    and, where the rate falls to zero, the last one still does.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(steps - rising, 1)
    match schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "linear":
            return 1 - progress
        case "constant":
            return 1.0
        case _:
            assert_never(schedule)
