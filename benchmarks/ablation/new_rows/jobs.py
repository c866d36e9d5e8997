"""What is trained over the bases, in a few processes, and where its results are.

A job with a result is not run again, so an interrupted run goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.ablation.bases import BaseFolders
from benchmarks.ablation.new_rows.training import AblationInputs, train_variant
from benchmarks.ablation.new_rows.variants import Variant
from benchmarks.ablation.processes import run_tasks
from benchmarks.ablation.sizes import BaseName, Size


@dataclass(frozen=True)
class Job:
    """A variant over a base with a seed."""

    base: BaseName
    variant: Variant
    seed: int


@dataclass(frozen=True)
class WorkFolders:
    """The folders of the bases, and in them those of the results.

    A change to the variants leaves the bases valid.
    """

    bases: BaseFolders
    size: Size

    @property
    def variants(self) -> Path:
        """Results of variants."""
        return self.bases.folder / f"variants-{self.size.digest}"

    def result(self, job: Job) -> Path:
        """The file that is written when the job is done."""
        return self.variants / job.base / f"{job.variant.file_name}-{job.seed}.json"


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
