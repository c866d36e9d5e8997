"""Runs variants in a few processes. Finished jobs are kept, so an interrupted run goes on."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.ablation.new_rows.training import AblationInputs, train_variant
from benchmarks.ablation.new_rows.work_folders import Job, WorkFolders
from benchmarks.ablation.processes import run_tasks
from benchmarks.ablation.sizes import BaseName


def run_jobs(
    jobs: list[Job],
    inputs: Callable[[BaseName], AblationInputs],
    work_folders: WorkFolders,
    processes: int,
    report_done: Callable[[Job], None],
) -> None:
    """Run the `jobs` that have no result yet. Their bases must be trained.

    Args:
        jobs: variants, in the order in which they start.
        inputs: what the variants over a base share.
        work_folders: where results go.
        processes: how many run at once; see `run_tasks`.
        report_done: called in this process after each job.
    """
    waiting = [job for job in jobs if not work_folders.result(job).exists()]
    tasks = {job: partial(_run, job, inputs(job.base), work_folders.result(job)) for job in waiting}
    run_tasks(tasks, processes, report_done)


def _run(job: Job, inputs: AblationInputs, result: Path) -> None:
    result.parent.mkdir(parents=True, exist_ok=True)
    train_variant(job.variant, job.seed, inputs, result)
