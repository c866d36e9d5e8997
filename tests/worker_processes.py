"""Work for several processes on this machine, joined as torchrun joins them (gloo, no GPU)."""

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch.multiprocessing import start_processes

from ekle.artifacts import BaseModel, Corpus, ExtendedModel
from ekle.cli import main
from ekle.progress import silent
from ekle.recipe import Recipe
from ekle.training.stage import Inputs, run

_SECONDS = 300


@dataclass(frozen=True)
class Training:
    """What `ekle.training.stage.run` takes; called, it trains."""

    recipe: Recipe
    corpus: Path
    extended: Path
    folder: Path

    def __call__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        run(self.recipe, Inputs(Corpus(self.corpus), ExtendedModel(self.extended)), self.folder, silent())


@dataclass(frozen=True)
class BaseTraining:
    """The same for a base as it is."""

    recipe: Recipe
    corpus: Path
    base: BaseModel
    folder: Path

    def __call__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        run(self.recipe, Inputs(Corpus(self.corpus), self.base), self.folder, silent())


@dataclass(frozen=True)
class Command:
    """An `ekle` command line; called, it must succeed."""

    words: list[str]

    def __call__(self) -> None:
        assert main(self.words) == 0


@dataclass(frozen=True)
class OnlyTheMainProcessWrites(Command):
    """A command in whose other processes it is an error to put a file or folder in its place."""

    def __call__(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if os.environ["RANK"] != "0":
                patch.setattr(os, "replace", _refused)
                patch.setattr(os, "rename", _refused)
            super().__call__()


def _refused(*given: object) -> None:
    raise AssertionError(f"another process than the main one writes: {given}")


def run_in_processes(count: int, jobs: Sequence[Callable[[], None]]) -> None:
    """Run `jobs`, one after the other, each in all of `count` processes; raises what one of them raises."""
    # A process that has all modules already is copied for each: importing them takes longer than the jobs.
    multiprocessing.set_forkserver_preload([__name__])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = start_processes(_work, (count, port, jobs), count, join=False, start_method="forkserver")
    deadline = time.monotonic() + _SECONDS
    while not started.join(timeout=1):
        if time.monotonic() > deadline:
            for process in started.processes:
                process.kill()
            raise TimeoutError(f"{count} processes have not finished in {_SECONDS} s")


def _work(rank: int, count: int, port: int, jobs: Sequence[Callable[[], None]]) -> None:
    about = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(value) for name, value in about.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1")
    for job in jobs:
        job()
