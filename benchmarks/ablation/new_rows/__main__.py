"""Which way to start and to train new embedding rows is best, on small bases with equal compute.

Measures bits per byte of Turkish and English by training step; writes docs/adaptation.md and its curves.

    python -m benchmarks.ablation.new_rows --data DIR --out docs/adaptation.md --size cpu
    python -m benchmarks.ablation.new_rows --data DIR --out docs/adaptation-flat.md --size flat
    python -m benchmarks.ablation.new_rows --data DIR --out look.md --seeds 1 --variants "subword, rate x 2"

Needs DIR with tr/train.txt, tr/dev_*.txt and other/en.txt. On two CPU cores `cpu` takes 140 minutes (70 with
--seeds 1) and `flat` 60; `gpu` is for one large GPU. Finished work is in --work and is not done again; the
page is written again after each variant. The control always runs, at all its rates.
"""

import argparse
import os
from typing import get_args

from rich.console import Console

from benchmarks.ablation.bases import BaseFolders, prepare_bases
from benchmarks.ablation.command import argument_parser, run
from benchmarks.ablation.new_rows.adaptation_page import write_page
from benchmarks.ablation.new_rows.jobs import Job, WorkFolders, run_jobs
from benchmarks.ablation.new_rows.training import AblationInputs
from benchmarks.ablation.new_rows.variants import CONTROLS, all_variants, variants_for
from benchmarks.ablation.sizes import BaseName, SizeName, size_named
from benchmarks.ablation.text import prepare_text
from benchmarks.ablation.tokenizer import prepare_vocabulary
from benchmarks.device import default_device


def main() -> None:
    options = _options()
    size = size_named(options.size)
    folders = BaseFolders(options.work, options.size, size.shared)
    work_folders = WorkFolders(folders, size)
    console = Console(width=120, highlight=False)
    text = prepare_text(options.data, size.shared, folders.text)
    vocabulary = prepare_vocabulary(text, folders)
    jobs = _jobs(options.size, options.variants, options.seeds)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = 1 if default_device().type == "cuda" else options.processes or cores

    def inputs(name: BaseName) -> AblationInputs:
        return AblationInputs(size, text, folders.tokenizer, vocabulary, folders.base(name))

    def page() -> None:
        write_page(options.out, work_folders, jobs, vocabulary, cores)

    def base_done(name: BaseName) -> None:
        console.print(f"{name}: base")
        page()

    def job_done(job: Job) -> None:
        console.print(f"{job.base}: {job.variant.name}, seed {job.seed}")
        page()

    if not options.page_only:
        prepare_bases(size.shared.bases, text, folders, processes, base_done)
        run_jobs(jobs, inputs, work_folders, processes, job_done)
    page()
    console.print(f"{options.out} is written")


def _jobs(size: SizeName, wanted: list[str] | None, seeds: int) -> list[Job]:
    """One seed of every variant, then the other seeds of those that have several."""
    names = list(size_named(size).shared.bases)
    jobs: list[Job] = []
    for seed in range(seeds):
        for name in names:
            variants = variants_for(name, size)
            variants = [
                variant for variant in variants if variant in CONTROLS or not wanted or variant.name in wanted
            ]
            jobs += [
                Job(name, variant, seed)
                for variant in variants
                if seed == 0 or (variant.seeds and name == "knows")
            ]
    return jobs


def _options() -> argparse.Namespace:
    parser = argument_parser("benchmarks.ablation.new_rows", __doc__, get_args(SizeName))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=[variant.name for variant in all_variants()],
        help="only these, and the control",
    )
    parser.add_argument("--processes", type=int, help="jobs at once; one per core if not given")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
