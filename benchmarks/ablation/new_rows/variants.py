"""The variants: how new embedding rows start, and how they are trained before and with all other weights."""

from dataclasses import dataclass, field, replace
from typing import get_args

from benchmarks.ablation.sizes import BaseName, SizeName
from ekle.recipe.extension import Heuristic, Initialiser


@dataclass(frozen=True)
class Variant:
    """One row of the table; `init` None is the unchanged tokenizer."""

    name: str
    init: Initialiser | None
    output: Heuristic | None = None
    deep: bool = False
    """Hidden states are distilled after `Size.distilled_depth` of the layers, not the recipe's share."""
    aligned: bool = False
    merge_dropout: bool = False
    rows_first: bool = False
    rate: float = 1.0
    """Of all weights but the new rows, as a multiple of `Size.rate`."""
    rows_rate: float = 1.0
    """Of the new rows, as a multiple of `Size.rows_rate`; 0 for the rate of all other weights."""
    seeds: bool = field(default=True, compare=False)
    """Whether it runs with several seeds on the base that knows Turkish; not where one run is enough."""

    @property
    def file_name(self) -> str:
        """The name for a file."""
        return self.name.replace(", ", "-").replace(" ", "-")


CONTROL = Variant("unchanged tokenizer", None, seeds=False)
CONTROLS = [
    Variant("unchanged tokenizer, rate x 8", None, rate=8, seeds=False),
    Variant("unchanged tokenizer, rate x 4", None, rate=4),
    Variant("unchanged tokenizer, rate x 2", None, rate=2),
    CONTROL,
    Variant("unchanged tokenizer, rate x 0.5", None, rate=0.5, seeds=False),
]

_FASTER = Variant("hybrid, rate x 4", "hybrid", rate=4, seeds=False)  # of the size `flat` alone


def all_variants() -> list[Variant]:
    """The control at several rates, each rule for new rows, and additions to a rule.

    All rules are compared with the same seeds and at twice the rate, the best of three for `subword`. The
    additions are compared over `subword`, which costs no compute.
    """
    rules: list[Heuristic] = list(get_args(Heuristic))
    rules.remove("subword")
    return [
        *CONTROLS,
        Variant("subword", "subword", seeds=False),
        Variant("subword, rate x 2", "subword", rate=2),
        Variant("subword, rate x 4", "subword", rate=4, seeds=False),
        Variant("subword, all at one rate", "subword", rows_rate=0, seeds=False),
        Variant("distilled, rate x 2", "distilled", rate=2),
        Variant("distilled, all layers, rate x 2", "distilled", deep=True, rate=2),
        Variant("subword, aligned, rate x 2", "subword", aligned=True, rate=2),
        Variant("subword, merge dropout, rate x 2", "subword", merge_dropout=True, rate=2),
        Variant("subword, rows first, rate x 2", "subword", rows_first=True, rate=2),
        *(Variant(f"{rule}, rate x 2", rule, rate=2) for rule in rules),
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
"""The winner of `cpu` at two rates, and the lowest before training; only these, since `flat` takes long."""


def variants_for(base: BaseName, size: SizeName) -> list[Variant]:
    """The variants over `base` at a size.

    All over the base that knows Turkish. A few, at high rates, over the base that hardly does. A few in
    `flat`, with several seeds at the rate that is best for the control there.
    """
    if size == "flat":
        variants = [variant for variant in all_variants() if variant in CONTROLS or variant.name in _IN_FLAT]
        return [replace(variant, seeds=variant.rate == 2) for variant in variants]
    variants = [variant for variant in all_variants() if variant != _FASTER]
    return [variant for variant in variants if base == "knows" or variant.name in _OVER_HARDLY]
