"""What is trained over the bases, and where its results are; a job with a result is not run again."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.ablation.base_folders import BaseFolders
from benchmarks.ablation.new_rows.variants import Variant
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
