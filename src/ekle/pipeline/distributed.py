"""One run in several processes: the main one keeps the run folder, the others train along.

torchrun starts every process with the same command. Only the training is shared; what is before it is
one process' work, and has to be there. The main process checks and claims the folder as ever, and tells the
others when the training begins; until then they have not looked at it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ekle.artifacts import ORDER, Stage
from ekle.errors import InputError
from ekle.pipeline.run_folder import RunFolder
from ekle.pipeline.stages import make
from ekle.progress import silent
from ekle.recipe import Recipe

_BEFORE: tuple[Stage, ...] = ORDER[: ORDER.index("training")]


def is_secondary_process() -> bool:
    """Whether this is another process than the main one."""
    return is_distributed() and os.environ.get("RANK", "0") != "0"


def run_as_secondary(recipe: Recipe, folder: Path) -> None:
    """As another process: wait for the main one, train along where it trains, and leave."""
    from ekle.model.processes import join

    processes = join()
    if processes.any(False):
        make("training", recipe, RunFolder(folder).place, silent())
    processes.leave()


def check_distributed(wanted: Sequence[Stage], missing: Sequence[Stage]) -> None:
    """Raise InputError where there are others and they could not begin to train at once."""
    before = [stage for stage in missing if stage in _BEFORE]
    if is_distributed() and ("training" not in wanted or before):
        what = f"{', '.join(before)} must be made first" if before else "no training is asked for"
        raise InputError(
            f"several processes share the training alone, and {what}; run until {_BEFORE[-1]} without "
            f"torchrun (ekle run RECIPE --until {_BEFORE[-1]}), then train with it"
        )


@contextmanager
def with_other_processes(stage: Stage) -> Iterator[None]:
    """As the main process: let the others, if there are any, train along; then let them end."""
    if stage != "training" or not is_distributed():
        yield
        return
    from ekle.model.processes import join

    processes = join()
    processes.any(True)
    yield
    processes.leave()


def release_other_processes(stage: Stage) -> None:
    """As the main process: let the others, if there are any, end when the training is kept."""
    if stage == "training" and is_distributed():
        from ekle.model.processes import join

        processes = join()
        processes.any(False)
        processes.leave()


def is_distributed() -> bool:
    """Whether several processes share this run."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
