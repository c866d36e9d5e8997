"""Bases and arms as jobs for a few processes; whatever is done is kept, so an interrupted run goes on."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

import torch
from transformers.utils import logging

from benchmarks.ablation.bases import train_base
from benchmarks.ablation.new_rows.training import AblationInputs, train_variant
from benchmarks.ablation.new_rows.work_folders import Job, WorkFolders
from benchmarks.ablation.sizes import BaseName
from ekle.bpe.base import load_base


def run_jobs(
    jobs: list[Job],
    inputs: Callable[[BaseName], AblationInputs],
    work_folders: WorkFolders,
    processes: int,
    done: Callable[[Job], None],
) -> None:
    """Run `jobs` in their order, an arm as soon as its base is there; `done` hears of each that ends.

    Args:
        jobs: bases and arms.
        bench: what the arms over a base share.
        places: where results go; a job whose result lies there is not run.
        processes: how many run at once, each on one core (on a GPU: 1).
        done: called after each job, in this process.
    """
    waiting = [job for job in jobs if not work_folders.result(job).exists()]
    running: dict[Future[None], Job] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_quiet, initargs=(processes,)
    ) as pool:
        while waiting or running:
            for job in list(waiting):
                ready = job.variant is None or work_folders.result(Job(job.base, None, 0)).exists()
                if ready and len(running) < processes:
                    waiting.remove(job)
                    running[pool.submit(_run, job, inputs(job.base), work_folders.result(job))] = job
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                job = running.pop(future)
                future.result()
                done(job)


def _quiet(processes: int) -> None:
    """In each process: the cores are shared out, and the bars of transformers stay away."""
    logging.disable_progress_bar()
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # several times as fast, and alike for all arms
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))


def _run(job: Job, inputs: AblationInputs, result: Path) -> None:
    if job.variant is None:
        about = inputs.size.shared.bases[job.base]
        base = load_base(str(inputs.tokenizer))
        train_base(about, inputs.size.shared, base, inputs.text, result.parent)
    else:
        result.parent.mkdir(parents=True, exist_ok=True)
        train_variant(job.variant, job.seed, inputs, result)
