"""One run in several processes: the main one keeps the run folder, the others train along.

torchrun starts every process with the same command. Only the training is shared, and that of a control; what
is before them is one process' work, and has to be there. The main process checks and claims the folder as
ever, and tells the others which of them begins; until then they have not looked at it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ekle.artifacts import ORDER, Stage
from ekle.errors import InputError
from ekle.pipeline.run_folder import RunFolder
from ekle.pipeline.stages import SHARED, make
from ekle.progress import silent
from ekle.recipe import Recipe

_LEAVE = -1
_BEFORE: tuple[Stage, ...] = ORDER[: ORDER.index("training")]


def is_secondary_process() -> bool:
    """Whether this is another process than the main one."""
    return is_distributed() and os.environ.get("RANK", "0") != "0"


def run_as_secondary(recipe: Recipe, folder: Path) -> None:
    """As another process: wait for the main one, train along where it trains, and leave."""
    from ekle.model.processes import join

    processes = join()
    while (number := int(processes.from_main(_LEAVE))) != _LEAVE:
        make(SHARED[number], recipe, RunFolder(folder).place, silent())
    processes.leave()


def check_distributed(wanted: Sequence[Stage], missing: Sequence[Stage]) -> None:
    """Raise InputError where there are others and they could not begin to train at once."""
    before = [stage for stage in missing if stage in _BEFORE]
    if is_distributed() and (not set(SHARED).intersection(wanted) or before):
        what = f"{', '.join(before)} must be made first" if before else "no training is asked for"
        raise InputError(
            f"several processes share the training alone, and {what}; run until {_BEFORE[-1]} without "
            f"torchrun (ekle run RECIPE --until {_BEFORE[-1]}), then train with it"
        )


@contextmanager
def with_other_processes(stage: Stage) -> Iterator[None]:
    """As the main process: let the others, if there are any, train along."""
    if stage in SHARED and is_distributed():
        from ekle.model.processes import join

        join().from_main(SHARED.index(stage))
    yield


def release_other_processes(stage: Stage, wanted: Sequence[Stage]) -> None:
    """As the main process: let the others, if there are any, end after the last stage that is shared.

    Args:
        stage: is there now, made or kept.
        wanted: all stages of the run, in their order.
    """
    if is_distributed() and stage == [shared for shared in wanted if shared in SHARED][-1]:
        from ekle.model.processes import join

        processes = join()
        processes.from_main(_LEAVE)
        processes.leave()


def is_distributed() -> bool:
    """Whether several processes share this run."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
