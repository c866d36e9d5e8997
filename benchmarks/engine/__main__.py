"""The guide's recipe against the recommended one, one difference at a time; optimisers; easy text first.

    python -m benchmarks.engine --data DIR --out docs/recommended.md
    python -m benchmarks.engine --data DIR --out docs/recommended.md --only ends

DIR holds what `benchmarks.adaptation` asks for. Everything that is done lies in --work and is not done again:
after a change of a recipe the same command runs only the arms that the change concerns. An interrupted
arm goes on. The page is written anew after each, from what lies there, with its curves beside it.
"""

import argparse
from collections.abc import Iterator
from typing import Literal, get_args

import torch
from rich.console import Console
from transformers.utils import logging

from benchmarks.adaptation.command import options_of, run
from ekle.recipe.training import Optimizer

from .arms import alternatives, changes, curriculum, ends, readings
from .ground import Ground, prepare
from .measuring import Job, result_of, run_job
from .optimisers import over_rates, over_seeds
from .page import write_page
from .sizes import SizeName

Part = Literal["ends", "readings", "changes", "optimisers", "curriculum", "alternatives"]


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    console = Console(width=120, highlight=False)
    ground = prepare(options.data, options.work, options.size)
    parts: tuple[Part, ...] = tuple(options.only or get_args(Part))
    if not options.page_only:
        for job in _jobs(ground, parts):
            if not result_of(job, ground).exists():
                run_job(job, ground)
                console.print(f"{job.name}, seed {job.recipe.seed}")
                write_page(options.out, ground, options.size)
    write_page(options.out, ground, options.size)
    console.print(f"{options.out} is written")


def _jobs(ground: Ground, parts: tuple[Part, ...]) -> Iterator[Job]:
    """One seed of each before the others; the best rates are known when the jobs before them are done."""
    size, width = ground.size, ground.width
    if "ends" in parts:
        yield from ends(size, width)[:2]
    if "optimisers" in parts:
        for jobs in over_rates(ground).values():
            yield from jobs
    if "changes" in parts:
        for _, into, out_of in changes(size, width):
            yield from (into, out_of)
    if "readings" in parts:
        yield from readings(size, width).values()
    if "ends" in parts:
        yield from ends(size, width)
    if "optimisers" in parts:
        for optimizer in get_args(Optimizer):
            yield from over_seeds(optimizer, ground)
    if "curriculum" in parts:
        for jobs in curriculum(size, width).values():
            yield from jobs
    if "alternatives" in parts:
        yield from alternatives(size, width).values()


def _options() -> argparse.Namespace:
    parser = options_of("benchmarks.engine", __doc__, get_args(SizeName))
    parser.add_argument("--only", nargs="+", choices=get_args(Part), help="some parts only")
    parser.add_argument("--threads", type=int, default=1, help="cores of a run")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
