"""The two sizes of the comparison: one that measures, one that only shows that it runs."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from ekle.recipe.training import Optimizer

SizeName = Literal["cpu", "smoke"]


@dataclass(frozen=True)
class Size:
    """Everything that decides what is measured; the model and the text are the laboratory's of that name."""

    steps: int
    """Steps of an arm; another optimiser than the recommended one takes those that cost as much."""
    batch: int
    accumulation: int
    sequence: int
    """Tokens of a sequence."""
    every: int
    """Steps between two points of a curve."""
    page: int
    """Bytes of held-out Turkish that only the page reads; the laboratory's own is what is chosen on."""
    english: int
    """Bytes of held-out English that are measured."""
    distilled_tokens: int
    """As many a new token as the recommended recipe's, 150."""
    aligned_tokens: int
    """Tokens of an alignment step."""
    rates: dict[Optimizer, tuple[float, ...]]
    """Multiples of both recommended rates, to choose from."""
    seeds: int

    @property
    def digest(self) -> str:
        """Changes with every number, so that results of other sizes are never mixed."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]


def size_named(name: SizeName) -> Size:
    """`cpu` takes about an hour of one core, `smoke` a few seconds."""
    return _SIZES[name]


_SIZES: dict[SizeName, Size] = {
    "cpu": Size(
        steps=150,
        batch=2,
        accumulation=2,
        sequence=256,
        every=30,
        page=42_000,
        english=30_000,
        distilled_tokens=120_000,
        aligned_tokens=1_024,
        rates={
            "sophia": (1 / 9, 1 / 3, 1.0),  # its clipped step is the rate, AdamW's mostly a part of it
            "adamw": (1 / 3, 1.0, 3.0),
            "muon": (1 / 3, 1.0, 3.0, 9.0),
        },
        seeds=3,
    ),
    "smoke": Size(
        steps=4,
        batch=1,
        accumulation=2,
        sequence=64,
        every=2,
        page=1_500,
        english=1_500,
        distilled_tokens=300,
        aligned_tokens=128,
        rates={"sophia": (1.0,), "adamw": (1.0,), "muon": (1.0,)},
        seeds=1,
    ),
}
