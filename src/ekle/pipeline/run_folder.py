"""The folder of one run: `1-corpus` to `7-release`, `run.json`, and a lock while a process works on it."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from ekle.artifacts import (
    ORDER,
    WITHOUT_CONTROL,
    Checkpoint,
    ExtendedModel,
    Release,
    Scorecard,
    Stage,
    Vocabulary,
    folder_name,
)
from ekle.errors import RunFolderError
from ekle.files import read_json, write_json
from ekle.pipeline.manifest import FILE, Manifest, read_begun, read_manifest
from ekle.recipe import Recipe

_MARK = "run.json"
_LOCK = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True)
class RunFolder:
    """What a run has made so far, and where."""

    folder: Path

    def place(self, stage: Stage) -> Path:
        """The folder of a stage."""
        return self.folder / folder_name(stage)

    @property
    def events(self) -> Path:
        """Everything that was reported, one JSON line per event."""
        return self.folder / "events.jsonl"

    def manifest(self, stage: Stage) -> Manifest | None:
        """What a stage was made from; None where it is not complete."""
        return read_manifest(self.place(stage))

    def begun(self, stage: Stage) -> Manifest | None:
        """What an interrupted attempt at a stage was being made from; None where there is none."""
        return read_begun(self.place(stage))

    def write_recipe(self, recipe: Recipe) -> None:
        """Mark the folder as a run's, with the whole recipe, defaults included."""
        about = {"name": recipe.name, "ekle": version("ekle"), "recipe": recipe.model_dump(mode="json")}
        write_json(self.folder / _MARK, about)

    def recipe(self) -> dict[str, Any]:
        """The recipe as it was remembered: a run of an older ekle may lack settings."""
        recipe: dict[str, Any] = read_json(self.folder / _MARK)["recipe"]
        return recipe

    def empty(self, stage: Stage) -> None:
        """Remove what a stage made, its manifest first, so that half a removal is no finished stage."""
        place = self.place(stage)
        (place / FILE).unlink(missing_ok=True)
        if place.exists():
            shutil.rmtree(place)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of this run, in their order: with the control where one is asked for or has begun."""
        asked = self.is_run() and self.recipe().get("control", {}).get("train", False)
        return ORDER if asked or self.place("control").is_dir() else WITHOUT_CONTROL

    @property
    def vocabulary(self) -> Vocabulary:
        """The new tokens."""
        return Vocabulary(self.place("vocabulary"))

    @property
    def extended(self) -> ExtendedModel:
        """The model with rows for them."""
        return ExtendedModel(self.place("extension"))

    @property
    def checkpoint(self) -> Checkpoint:
        """What training changed."""
        return Checkpoint(self.place("training"))

    @property
    def scorecard(self) -> Scorecard:
        """The measurements."""
        return Scorecard(self.place("evaluation"))

    @property
    def release(self) -> Release:
        """The folder that is shipped."""
        return Release(self.place("release"))

    def missing_before(self, stage: Stage) -> list[Stage]:
        """The stages before `stage` that are not finished."""
        before = ORDER[: ORDER.index(stage)]
        return [earlier for earlier in self.stages if earlier in before and not self.manifest(earlier)]

    def is_run(self) -> bool:
        """Whether this is a run folder at all."""
        return (self.folder / _MARK).is_file()

    def is_empty(self) -> bool:
        """Whether no stage has left anything here."""
        places = map(self.place, ORDER)
        return not any(place.exists() and any(place.iterdir()) for place in places)

    def remove(self) -> None:
        """Remove what every run writes; the folder is removed too, unless something else is in it."""
        for name in (_MARK, _LOCK, self.events.name):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            for stage in ORDER:
                if self.place(stage).exists():
                    self.place(stage).rmdir()
            self.folder.rmdir()


@contextmanager
def lock_run_folder(folder: Path) -> Iterator[RunFolder]:
    """Hold `folder` for this process alone; a run that leaves nothing behind leaves no folder either.

    Raises:
        RunFolderError: it holds something that is no run, or another process is using it.
    """
    at = RunFolder(folder)
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file; a run needs a folder of its own")
    if folder.exists() and not at.is_run() and {item.name for item in folder.iterdir()} - {_LOCK}:
        raise RunFolderError(f"{folder} holds something that is no run of ekle; give the run another name")
    parent_is_new = not folder.parent.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+", encoding="utf-8") as lock:
        _lock(lock, folder)
        try:
            yield at
        finally:
            if at.is_empty():
                at.remove()
                if parent_is_new:
                    with suppress(OSError):  # another run may be there by now
                        folder.parent.rmdir()


def _lock(lock: TextIO, folder: Path) -> None:
    """Take the lock, or say who has it. The system drops it with the process, however that ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:  # some network file systems have none; go on without
            return
        lock.seek(0)
        raise RunFolderError(f"another ekle is at work in {folder} ({lock.read().strip()})") from error
    lock.truncate(0)
    lock.write(f"process {os.getpid()}\n")
    lock.flush()
