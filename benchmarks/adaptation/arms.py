"""The arms: how the new rows start, and what is done with them before and while all weights are trained."""

from dataclasses import dataclass
from typing import get_args

from ekle.recipe.extension import Heuristic, Initialiser


@dataclass(frozen=True)
class Arm:
    """One row of the table; `init` None is the control, the base with its own tokenizer."""

    name: str
    init: Initialiser | None
    output: Heuristic | None = None
    aligned: bool = False
    merge_dropout: bool = False
    rows_first: bool = False
    rows_rate: int = 1
    """Multiple of the rate at which new rows learn; recipes/qwen3-0.6b-turkish.toml has 5."""


CONTROL = Arm("unchanged tokenizer", None)


def all_arms() -> list[Arm]:
    """The control, each rule for rows by itself, and what can be done beside on top of two of them."""
    rules: list[Heuristic] = list(get_args(Heuristic))
    rules.remove("subword")
    return [
        CONTROL,
        Arm("subword", "subword"),
        Arm("distilled", "distilled"),
        Arm("distilled, fast rows", "distilled", rows_rate=5),
        Arm("distilled, faster rows", "distilled", rows_rate=15),
        Arm("subword, faster rows", "subword", rows_rate=15),
        Arm("distilled, aligned, fast rows", "distilled", aligned=True, rows_rate=5),
        Arm("distilled, aligned", "distilled", aligned=True),
        Arm("subword, aligned", "subword", aligned=True),
        *(Arm(rule, rule) for rule in reversed(rules)),
        Arm("subword, fast rows", "subword", rows_rate=5),
        Arm("subword, merge dropout", "subword", merge_dropout=True),
        Arm("subword, rows first", "subword", rows_first=True),
        Arm("distilled, rows first", "distilled", rows_first=True),
    ]
