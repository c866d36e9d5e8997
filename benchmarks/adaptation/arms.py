"""The arms: how the new rows start, and what is done with them before and while all weights are trained."""

from dataclasses import dataclass, field, replace
from typing import get_args

from ekle.recipe.extension import Heuristic, Initialiser

from .sizes import BaseName, SizeName


@dataclass(frozen=True)
class Arm:
    """One row of the table; `init` None is the unchanged tokenizer."""

    name: str
    init: Initialiser | None
    output: Heuristic | None = None
    deep: bool = False
    """Distilled by hidden states after `Size.distilled_depth` of the layers, not after the recipe's share."""
    aligned: bool = False
    merge_dropout: bool = False
    rows_first: bool = False
    rate: float = 1.0
    """Of all weights but the new rows, as a multiple of `Size.rate`."""
    rows_rate: float = 1.0
    """Of the new rows, as a multiple of `Size.rows_rate`; 0 for the rate of all other weights."""
    seeds: bool = field(default=True, compare=False)
    """Whether it is compared over several seeds, on the base that knows Turkish; not where one run tells."""

    @property
    def file_name(self) -> str:
        """The name for a file."""
        return self.name.replace(", ", "-").replace(" ", "-")


CONTROL = Arm("unchanged tokenizer", None, seeds=False)
CONTROLS = [
    Arm("unchanged tokenizer, rate x 8", None, rate=8, seeds=False),
    Arm("unchanged tokenizer, rate x 4", None, rate=4),
    Arm("unchanged tokenizer, rate x 2", None, rate=2),
    CONTROL,
    Arm("unchanged tokenizer, rate x 0.5", None, rate=0.5, seeds=False),
]

_FASTER = Arm("hybrid, rate x 4", "hybrid", rate=4, seeds=False)  # of the size `flat` alone


def all_arms() -> list[Arm]:
    """The control at several rates, each rule for rows by itself, and what can be done beside.

    All rules are compared at twice the rate, which was the best of three for `subword`, and over the same
    seeds; what can be done beside, over `subword`, which costs nothing.
    """
    rules: list[Heuristic] = list(get_args(Heuristic))
    rules.remove("subword")
    return [
        *CONTROLS,
        Arm("subword", "subword", seeds=False),
        Arm("subword, rate x 2", "subword", rate=2),
        Arm("subword, rate x 4", "subword", rate=4, seeds=False),
        Arm("subword, all at one rate", "subword", rows_rate=0, seeds=False),
        Arm("distilled, rate x 2", "distilled", rate=2),
        Arm("distilled, all layers, rate x 2", "distilled", deep=True, rate=2),
        Arm("subword, aligned, rate x 2", "subword", aligned=True, rate=2),
        Arm("subword, merge dropout, rate x 2", "subword", merge_dropout=True, rate=2),
        Arm("subword, rows first, rate x 2", "subword", rows_first=True, rate=2),
        *(Arm(f"{rule}, rate x 2", rule, rate=2) for rule in rules),
        _FASTER,
    ]


_OVER_HARDLY = (
    "unchanged tokenizer, rate x 2",
    "unchanged tokenizer, rate x 4",
    "unchanged tokenizer, rate x 8",
    "subword, rate x 2",
    "subword, rate x 4",
    "distilled, rate x 2",
)


_IN_FLAT = ("hybrid, rate x 2", "hybrid, rate x 4", "distilled, all layers, rate x 2")
"""What won in `cpu`, at two rates, and what is nearest before training: arms take long in `flat`."""


def arms_over(base: BaseName, size: SizeName) -> list[Arm]:
    """Those of `base` at a size.

    All; over the base that hardly knows Turkish a few, at rates that teach it fast; in `flat` a few, over
    several seeds at the rate that is best for the control there.
    """
    if size == "flat":
        arms = [arm for arm in all_arms() if arm in CONTROLS or arm.name in _IN_FLAT]
        return [replace(arm, seeds=arm.rate == 2) for arm in arms]
    arms = [arm for arm in all_arms() if arm != _FASTER]
    return [arm for arm in arms if base == "knows" or arm.name in _OVER_HARDLY]
