"""The arms: how the new rows start, and what is done with them before and while all weights are trained."""

from dataclasses import dataclass
from typing import get_args

from ekle.recipe.extension import Heuristic, Initialiser

from .sizes import BaseName


@dataclass(frozen=True)
class Arm:
    """One row of the table; `init` None is the unchanged tokenizer."""

    name: str
    init: Initialiser | None
    output: Heuristic | None = None
    aligned: bool = False
    merge_dropout: bool = False
    rows_first: bool = False
    rate: float = 1.0
    """Of all weights but the new rows, as a multiple of `Size.rate`."""
    rows_rate: float = 1.0
    """Of the new rows, as a multiple of `Size.rows_rate`; 0 for the rate of all other weights."""
    seeds: bool = False
    """Whether it is compared over several seeds, on the base that knows Turkish."""

    @property
    def file_name(self) -> str:
        """The name for a file."""
        return self.name.replace(", ", "-").replace(" ", "-")


CONTROL = Arm("unchanged tokenizer", None, seeds=True)
CONTROLS = [
    CONTROL,
    *(Arm(f"unchanged tokenizer, rate x {times:g}", None, rate=times) for times in (8, 4, 2, 0.5, 0.25)),
]


def all_arms() -> list[Arm]:
    """The control, each rule for rows by itself, and what can be done beside on top of two of them."""
    rules: list[Heuristic] = list(get_args(Heuristic))
    rules.remove("subword")
    return [
        *CONTROLS,
        Arm("distilled", "distilled", seeds=True),
        Arm("subword", "subword", seeds=True),
        Arm("subword, rate x 2", "subword", rate=2),
        Arm("distilled, rate x 2", "distilled", rate=2),
        Arm("distilled, rate x 0.5", "distilled", rate=0.5),
        Arm("distilled, rate x 0.5, rows x 2", "distilled", rate=0.5, rows_rate=2),
        Arm("distilled, aligned", "distilled", aligned=True, seeds=True),
        Arm("distilled, rows first", "distilled", rows_first=True, seeds=True),
        Arm("distilled, merge dropout", "distilled", merge_dropout=True, seeds=True),
        *(Arm(rule, rule) for rule in reversed(rules)),
        Arm("subword, all at one rate", "subword", rows_rate=0),
    ]


def arms_over(base: BaseName) -> list[Arm]:
    """Those of `base`: over the one that hardly knows Turkish a few, with rates that teach it fast."""
    if base == "knows":
        return all_arms()
    return [arm for arm in CONTROLS if arm.rate >= 1] + [
        arm for arm in all_arms() if arm.name in ("subword", "distilled")
    ]
