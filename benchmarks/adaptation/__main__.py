"""Which way to start and train new rows is best, on small bases and with equal compute.

    python -m benchmarks.adaptation --data DIR --out docs/adaptation.md --size cpu
    python -m benchmarks.adaptation --data DIR --out docs/adaptation.md --size gpu
    python -m benchmarks.adaptation --data DIR --out look.md --seeds 1 --arms subword distilled

DIR holds tr/train.txt, tr/dev_*.txt and other/en.txt. Everything that is done lies in --work and is not done
again; the page is written anew after each arm, from what lies there. The control is always among the
arms, at all its rates.
"""

import argparse
import os
from typing import get_args

from rich.console import Console

from ekle.artifacts import Vocabulary

from .arms import CONTROLS, all_arms, arms_over
from .bases import device
from .command import options_of, run
from .jobs import run_jobs
from .page import write_page
from .places import Job, Places
from .sizes import BaseName, SizeName, size_named
from .starting import Bench
from .text import prepare_text
from .vocabulary import prepare_vocabulary


def main() -> None:
    options = _options()
    size = size_named(options.size)
    places = Places(options.work, options.size, size)
    console = Console(width=120, highlight=False)
    text = prepare_text(options.data, size.ground, places.text)
    prepare_vocabulary(text, size, places)
    vocabulary = Vocabulary(places.vocabulary)
    jobs = _jobs(options.size, options.arms, options.seeds)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = 1 if device().type == "cuda" else options.processes or cores

    def bench(name: BaseName) -> Bench:
        return Bench(size, text, places.tokenizer, vocabulary, places.base(name))

    def done(job: Job) -> None:
        console.print(f"{job.base}: {job.arm.name if job.arm else 'base'}, seed {job.seed}")
        write_page(options.out, places, jobs, vocabulary, cores)

    if not options.page_only:
        run_jobs(jobs, bench, places, processes, done)
    write_page(options.out, places, jobs, vocabulary, cores)
    console.print(f"{options.out} is written")


def _jobs(size: SizeName, wanted: list[str] | None, seeds: int) -> list[Job]:
    """Bases first, then one seed of every arm, then the other seeds of what is compared."""
    names = list(size_named(size).ground.bases)
    jobs = [Job(name, None, 0) for name in names]
    for seed in range(seeds):
        for name in names:
            arms = arms_over(name, size)
            arms = [arm for arm in arms if arm in CONTROLS or not wanted or arm.name in wanted]
            jobs += [Job(name, arm, seed) for arm in arms if seed == 0 or (arm.seeds and name == "knows")]
    return jobs


def _options() -> argparse.Namespace:
    parser = options_of("benchmarks.adaptation", __doc__, get_args(SizeName))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in all_arms()], help="some arms only")
    parser.add_argument("--processes", type=int, help="jobs at once; one a core if not given")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
