"""The guide's recipe against the recommended one, one difference at a time; optimisers; easy text first.

Measures bits per byte of Turkish and English by training step; writes docs/recommended.md and its curves.

    python -m benchmarks.ablation.recipes --data DIR --out docs/recommended.md
    python -m benchmarks.ablation.recipes --data DIR --out docs/recommended.md --only recipes

Needs DIR with tr/train.txt, tr/dev_*.txt and other/en.txt. Takes about an hour of one core, and some 15
minutes more where benchmarks.ablation.new_rows has not trained the base. Finished work is in --work and is
not done again: after a change of a recipe the same command runs only the variants that it concerns. An
interrupted variant goes on. The page is written again after each variant.
"""

import argparse
from collections.abc import Iterator
from typing import Literal, get_args

import torch
from rich.console import Console
from transformers.utils import logging

from benchmarks.ablation.command import argument_parser, run
from benchmarks.ablation.recipes.comparisons import (
    alternatives,
    both_recipes,
    curriculum,
    one_by_one,
    rate_scalings,
)
from benchmarks.ablation.recipes.optimizers import best_rate_seeds, rate_search
from benchmarks.ablation.recipes.recommended_page import write_page
from benchmarks.ablation.recipes.scaling import TrainingSizeName
from benchmarks.ablation.recipes.training_runs import RecipeVariant, result_of, run_recipe
from benchmarks.ablation.recipes.workspace import Workspace, prepare
from ekle.recipe.training import Optimizer

Part = Literal["recipes", "rates", "differences", "optimisers", "curriculum", "alternatives"]


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    console = Console(width=120, highlight=False)
    workspace = prepare(options.data, options.work, options.size)
    parts: tuple[Part, ...] = tuple(options.only or get_args(Part))
    if not options.page_only:
        for variant in _variants(workspace, parts):
            if not result_of(variant, workspace).exists():
                run_recipe(variant, workspace)
                console.print(f"{variant.name}, seed {variant.recipe.seed}")
                write_page(options.out, workspace, options.size)
    write_page(options.out, workspace, options.size)
    console.print(f"{options.out} is written")


def _variants(workspace: Workspace, parts: tuple[Part, ...]) -> Iterator[RecipeVariant]:
    """One seed of each before the other seeds. The best rates are known when `rate_search` has run."""
    size, width = workspace.size, workspace.width
    if "recipes" in parts:
        yield from both_recipes(size, width)[:2]
    if "optimisers" in parts:
        for variants in rate_search(workspace).values():
            yield from variants
    if "differences" in parts:
        for _, into, out_of in one_by_one(size, width):
            yield from (into, out_of)
    if "rates" in parts:
        yield from rate_scalings(size, width).values()
    if "recipes" in parts:
        yield from both_recipes(size, width)
    if "optimisers" in parts:
        for optimizer in get_args(Optimizer):
            yield from best_rate_seeds(optimizer, workspace)
    if "curriculum" in parts:
        for variants in curriculum(size, width).values():
            yield from variants
    if "alternatives" in parts:
        yield from alternatives(size, width).values()


def _options() -> argparse.Namespace:
    parser = argument_parser("benchmarks.ablation.recipes", __doc__, get_args(TrainingSizeName))
    parser.add_argument("--only", nargs="+", choices=get_args(Part), help="some parts only")
    parser.add_argument("--threads", type=int, default=1, help="CPU cores of a run")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
