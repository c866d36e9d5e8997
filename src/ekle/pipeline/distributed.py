"""One run in several processes: the main one keeps the run folder, the others train along.

torchrun starts every process with the same command. Only the training is shared, that of a control, and the
extension by a rule that learns in several processes; what is before them is one process' work, and has to be
there. The main process checks and claims the folder as ever, and tells the others which of them begins; until
then they have not looked at it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ekle.artifacts import ORDER, Stage
from ekle.errors import InputError
from ekle.pipeline.run_folder import RunFolder
from ekle.pipeline.stages import SHARED, make, shared_stages
from ekle.progress import silent
from ekle.recipe import Recipe

_LEAVE = -1
_BEFORE: tuple[Stage, ...] = ORDER[: ORDER.index("training")]


def is_secondary_process() -> bool:
    """Whether this is another process than the main one."""
    return is_distributed() and os.environ.get("RANK", "0") != "0"


def run_as_secondary(recipe: Recipe, folder: Path) -> None:
    """As another process: wait for the main one, take part in what it shares, and leave."""
    from ekle.model.processes import join

    processes = join()
    while (number := int(processes.from_main(_LEAVE))) != _LEAVE:
        make(SHARED[number], recipe, RunFolder(folder).place, silent())
    processes.leave()


def check_distributed(recipe: Recipe, wanted: Sequence[Stage], missing: Sequence[Stage]) -> None:
    """Raise InputError where there are others and they could not begin with what they share at once."""
    shared = shared_stages(recipe)
    alone = _BEFORE[: _BEFORE.index(shared[0])] if shared[0] in _BEFORE else _BEFORE
    before = [stage for stage in missing if stage in alone]
    if is_distributed() and (not set(shared).intersection(wanted) or before):
        what = f"{', '.join(before)} must be made first" if before else "no training is asked for"
        which = "the training alone" if alone is _BEFORE else "extension and training alone"
        raise InputError(
            f"several processes share {which}, and {what}; run until {alone[-1]} without torchrun "
            f"(ekle run RECIPE --until {alone[-1]}), then go on with it"
        )


@contextmanager
def with_other_processes(recipe: Recipe, stage: Stage) -> Iterator[None]:
    """As the main process: let the others, if there are any, take part."""
    if stage in shared_stages(recipe) and is_distributed():
        from ekle.model.processes import join

        join().from_main(SHARED.index(stage))
    yield


def release_other_processes(recipe: Recipe, stage: Stage, wanted: Sequence[Stage]) -> None:
    """As the main process: let the others, if there are any, end after the last stage that is shared.

    Args:
        recipe: says which stages are shared.
        stage: is there now, made or kept.
        wanted: all stages of the run, in their order.
    """
    if is_distributed() and stage == [shared for shared in wanted if shared in shared_stages(recipe)][-1]:
        from ekle.model.processes import join

        processes = join()
        processes.from_main(_LEAVE)
        processes.leave()


def is_distributed() -> bool:
    """Whether several processes share this run."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
