"""Where what is done lies, so that nothing is done twice: bases by what they depend on, arms by all."""

from dataclasses import dataclass
from pathlib import Path

from .arms import Arm
from .sizes import BaseName, Size


@dataclass(frozen=True)
class Job:
    """A base to train (`arm` None), or an arm over it."""

    base: BaseName
    arm: Arm | None
    seed: int


@dataclass(frozen=True)
class Places:
    """Folders under the working folder `work`; a change to the arms leaves the bases where they are."""

    work: Path
    name: str
    size: Size

    @property
    def ground(self) -> Path:
        """Text, the base's tokenizer, the bases."""
        return self.work / f"{self.name}-{self.size.ground.digest}"

    @property
    def arms(self) -> Path:
        """The vocabulary, and results of arms."""
        return self.ground / f"arms-{self.size.digest}"

    @property
    def text(self) -> Path:
        """Text to learn from and to measure on."""
        return self.ground / "text"

    @property
    def tokenizer(self) -> Path:
        """The base's tokenizer."""
        return self.ground / "tokenizer"

    @property
    def vocabulary(self) -> Path:
        """The new tokens."""
        return self.arms / "vocabulary"

    def base(self, name: BaseName) -> Path:
        """A base."""
        return self.ground / name

    def result(self, job: Job) -> Path:
        """The file that says the job is done."""
        if job.arm is None:
            return self.base(job.base) / "base.json"
        return self.arms / job.base / f"{job.arm.file_name}-{job.seed}.json"
