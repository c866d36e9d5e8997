"""Keeping what is measured already, so that an interrupted evaluation goes on where it stopped."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ekle.artifacts.evaluation_report import FORMAT
from ekle.errors import InputError
from ekle.files import read_json, write_json

Kept = TypeVar("Kept")


class FigureCache:
    """Finished parts, a JSON file each; a part that was measured on something else is measured again.

    Args:
        folder: where the files are.
        stamp: says what they were measured on and how; see `stamp_of`.
    """

    def __init__(self, folder: Path, stamp: str) -> None:
        self._folder, self._stamp = folder, stamp

    def get(self, name: str, kind: type[Kept], measure: Callable[[], Kept]) -> Kept:
        """The part `name`, which is of the type `kind`: from its file, or measured now and written there."""
        kept = self._kept(name, kind)
        if kept is not None:
            return kept
        figures = measure()
        content = TypeAdapter(kind).dump_python(figures, exclude_none=True)
        write_json(self._file(name), {"stamp": self._stamp, "figures": content})
        return figures

    def has(self, name: str, kind: type[Kept]) -> bool:
        """Whether part `name` is measured already."""
        return self._kept(name, kind) is not None

    def _kept(self, name: str, kind: type[Kept]) -> Kept | None:
        content = self._read(name)
        if content.get("stamp") != self._stamp:
            return None
        try:
            return TypeAdapter(kind).validate_python(content.get("figures"))
        except ValidationError:  # written when parts had another form
            return None

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = read_json(self._file(name))
        except InputError:  # never measured, or damaged
            return {}
        return kept


def stamp_of(question: Mapping[str, Any], inputs: Iterable[Path]) -> str:
    """A digest of what is asked, of ekle's version and its report's, and of all input files.

    Of a file, its name, size and time count. Reading a model of many gigabytes to know that it has not
    changed would take longer than most parts.

    Args:
        question: all that figures depend on except files, as JSON: settings, the name of each place and text,
            device and libraries. The order of names counts, because resamples follow it.
        inputs: files and folders; anything else, such as a hub id, is ignored.
    """
    asked = json.dumps([version("ekle"), FORMAT, question], ensure_ascii=False)
    total = hashlib.sha256(os.fsencode(f"{asked}\n"))
    for place in inputs:
        for file in sorted(item for item in (place, *place.rglob("*")) if item.is_file()):
            facts = file.stat()
            total.update(os.fsencode(f"{file.absolute()} {facts.st_size} {facts.st_mtime_ns}\n"))
    return total.hexdigest()
