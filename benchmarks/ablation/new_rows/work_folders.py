"""Where what is done lies, so that nothing is done twice: bases by what they depend on, arms by all."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.ablation.new_rows.variants import Variant
from benchmarks.ablation.sizes import BaseName, Size


@dataclass(frozen=True)
class Job:
    """A base to train (`arm` None), or an arm over it."""

    base: BaseName
    variant: Variant | None
    seed: int


@dataclass(frozen=True)
class WorkFolders:
    """Folders under the working folder `work`; a change to the arms leaves the bases where they are."""

    work: Path
    name: str
    size: Size

    @property
    def shared(self) -> Path:
        """Text, the base's tokenizer, the bases."""
        return self.work / f"{self.name}-{self.size.shared.digest}"

    @property
    def variants(self) -> Path:
        """The vocabulary, and results of arms."""
        return self.shared / f"arms-{self.size.digest}"

    @property
    def text(self) -> Path:
        """Text to learn from and to measure on."""
        return self.shared / "text"

    @property
    def tokenizer(self) -> Path:
        """The base's tokenizer."""
        return self.shared / "tokenizer"

    @property
    def vocabulary(self) -> Path:
        """The new tokens."""
        return self.variants / "vocabulary"

    def base(self, name: BaseName) -> Path:
        """A base."""
        return self.shared / name

    def result(self, job: Job) -> Path:
        """The file that says the job is done."""
        if job.variant is None:
            return self.base(job.base) / "base.json"
        return self.variants / job.base / f"{job.variant.file_name}-{job.seed}.json"
