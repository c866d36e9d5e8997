"""Checkpoint folders: each appears whole or not at all.

    checkpoints/step-000500/           all that a run resumes from: weights, optimiser, random state, place
    checkpoints/step-000500-back-1/    the same after one rollback (`ekle.training.monitoring.guard`)
    checkpoints/best-000250/           the weights of the best evaluation so far

After a rollback, a run may come to the same step again. The checkpoint that it writes then is newer than all
before and gets a name of its own: what a killed run resumes from stays until the new one is complete. That
name, with `back`, is that of 0.1, so that its checkpoints are still found.

Everything is safetensors or JSON. A folder gets its name only after its last file was written, so its name
alone says that it is complete.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ekle.errors import CheckpointError, InputError, SpaceError
from ekle.files import atomic_folder, flush, read_json, write_json
from ekle.model.distributed import is_main_process, save_full_tensors, shard_like

Write = Callable[[Path], None]
"""Writes files into the folder it is given."""

_NAME = re.compile(r"(?:step|best)-(?P<step>\d+)(?:-back-(?P<rollbacks>\d+))?")
_MARGIN = 64 * 2**20  # bytes left for everything else on the disk


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are.
        keep: how many of the newest to keep, besides the best.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def clean(self) -> None:
        """Remove what a killed process left incomplete."""
        for rest in self.folder.glob(".*.partial"):
            shutil.rmtree(rest, ignore_errors=True)

    def save(self, step: int, write: Write, size: int, best_step: int | None, rollbacks: int = 0) -> None:
        """Write the checkpoint of `step`. Then remove the oldest beyond `keep`, and what a rollback undid.

        For all processes (`ekle.model.distributed`): all of them call `write`, and the main one alone writes.

        Older best weights are removed only here, once no checkpoint names them. So whatever a killed run
        resumes from finds its best weights.

        Args:
            step: steps done.
            write: fills the folder.
            size: bytes it will take; checked against the disk before anything is written.
            best_step: the evaluation whose weights are the best so far; None before the first.
            rollbacks: how often the run has rolled back.

        Raises:
            SpaceError: the disk has no room for it; the earlier checkpoints stay.
        """
        name = f"step-{step:06}-back-{rollbacks}" if rollbacks else f"step-{step:06}"
        self._write(self.folder / name, write, size)
        if not is_main_process():
            return
        stay = self._resumable()[-self.keep :]
        for old in self._found("step"):
            if old not in stay:
                _remove(old)
        kept = map(load_progress, stay)
        named = {progress["watch"]["best_step"] for progress in kept} | {best_step}
        for old in self._found("best"):
            if step_of(old) not in named:
                _remove(old)

    def save_best(self, step: int, write: Write, size: int) -> None:
        """Write the best weights so far. Raises as `save`."""
        self._write(self.folder / f"best-{step:06}", write, size)

    def last(self) -> Path | None:
        """The newest checkpoint to resume from; None if there is none."""
        return next(reversed(self._resumable()), None)

    def before(self, depth: int) -> Path:
        """The checkpoint `depth` places before the newest, or else the oldest; there must be one."""
        found = self._resumable()
        return found[max(len(found) - 1 - depth, 0)]

    def at(self, step: int) -> Path:
        """The checkpoint of `step`; the newer one if the run came to it twice.

        Raises:
            CheckpointError: none was made there, or it is no longer kept.
        """
        found = next((path for path in self._resumable() if step_of(path) == step), None)
        if found is None:
            raise CheckpointError(f"{self.folder} holds no checkpoint of step {step:,}")
        return found

    def best(self, step: int) -> Path:
        """The weights of the evaluation at `step`, which was the best.

        Raises:
            CheckpointError: they are not there.
        """
        path = self.folder / f"best-{step:06}"
        if not path.is_dir():
            raise CheckpointError(f"{path} is missing; train again with ekle run RECIPE --redo training")
        return path

    def _write(self, target: Path, write: Write, size: int) -> None:
        if not is_main_process():
            write(target)  # its shards go to the main process
            return
        if target.exists():  # the same step of an attempt that was interrupted later on
            _remove(target)
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < size + _MARGIN:
            raise SpaceError(
                f"a checkpoint takes {size / 1e9:.1f} GB and {self.folder} has room for {free / 1e9:.1f} GB; "
                "free some and run again, it goes on from the checkpoint before"
            )
        with atomic_folder(target) as temporary:
            write(temporary)
            flush(temporary)

    def _resumable(self) -> list[Path]:
        """Checkpoints in the order in which they were made, without those that a later rollback undid."""
        found = self._found("step")
        return [
            path
            for place, path in enumerate(found, start=1)
            if all(step_of(path) < step_of(later) for later in found[place:])
        ]

    def _found(self, kind: str) -> list[Path]:
        """Folders of this kind in the order in which they were made; other files are ignored."""
        found = (path for path in self.folder.glob(f"{kind}-*") if _NAME.fullmatch(path.name))
        return sorted((path for path in found if path.is_dir()), key=_age)


def _remove(checkpoint: Path) -> None:
    """Remove a checkpoint. Its name goes first, so that no incomplete folder ever has it."""
    gone = checkpoint.with_name(f".{checkpoint.name}.partial")
    shutil.rmtree(gone, ignore_errors=True)
    shutil.rmtree(checkpoint.rename(gone))


def step_of(checkpoint: Path) -> int:
    """Steps that were done when a checkpoint was written."""
    return _age(checkpoint)[1]


def rollbacks_of(checkpoint: Path) -> int:
    """How often the run had rolled back when a checkpoint was written."""
    return _age(checkpoint)[0]


def _age(checkpoint: Path) -> tuple[int, int]:
    """Rollbacks and steps when a checkpoint was written; a newer checkpoint always has a larger pair."""
    found = _NAME.fullmatch(checkpoint.name)
    assert found is not None, f"{checkpoint} is no checkpoint"
    return int(found["rollbacks"] or 0), int(found["step"])


def save_optimizer(optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Write `optimizer.safetensors` and `optimizer.json`; for all processes (`ekle.model.distributed`)."""
    content = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for place, state in content["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{place}.{name}"] = value
            else:
                numbers[f"{place}.{name}"] = value
    save_full_tensors(tensors, folder / "optimizer.safetensors")
    if is_main_process():
        write_json(folder / "optimizer.json", {"groups": content["param_groups"], "numbers": numbers})


def load_optimizer(optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Read what `save_optimizer` wrote.

    Raises:
        CheckpointError: a file is missing or damaged, or belongs to other parameters.
    """
    with intact(folder):
        values: dict[str, Any] = {**load_file(folder / "optimizer.safetensors")}
        about = read_json(folder / "optimizer.json")
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for name, value in {**values, **about["numbers"]}.items():
            place, _, field = name.partition(".")
            if isinstance(value, Tensor) and value.ndim:
                value = shard_like(value, parameters[int(place)])
            state.setdefault(int(place), {})[field] = value
        groups = [_tuples(group) for group in about["groups"]]
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def save_random_state(folder: Path) -> None:
    """Write PyTorch's random state, which attention dropout would use."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state().cpu()
    save_file(states, folder / "random.safetensors")


def load_random_state(folder: Path) -> None:
    """Read what `save_random_state` wrote.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    with intact(folder):
        states = load_file(folder / "random.safetensors")
        torch.set_rng_state(states["cpu"])
        if "cuda" in states and torch.cuda.is_available():
            torch.cuda.set_rng_state(states["cuda"])


def load_progress(folder: Path) -> dict[str, Any]:
    """`progress.json` of a checkpoint: the place in steps, text and time.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    with intact(folder):
        progress: dict[str, Any] = read_json(folder / "progress.json")
    return progress


@contextmanager
def intact(checkpoint: Path) -> Iterator[None]:
    """Inside, a file that is missing, truncated or of another run raises the error that names the cure.

    Raises:
        CheckpointError: in place of what reading such a file raises.
    """
    try:
        yield
    except (OSError, SafetensorError, InputError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint} is damaged ({error}); remove it, and training goes on from the checkpoint before"
        ) from error


def _tuples(group: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples, but optimisers keep betas and coefficients in tuples."""
    return {
        name: tuple(value) if isinstance(value, list) and name != "params" else value
        for name, value in group.items()
    }
