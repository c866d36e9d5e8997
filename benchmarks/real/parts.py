"""Results that are kept: one JSON file a part, written whole, with the digest of what it was made from."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ekle.errors import InputError, RunFolderError
from ekle.files import read_json, write_json

Result = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """The folder of kept results. A name is `PART` or `PART/DETAIL`."""

    folder: Path

    def keep(self, name: str, inputs: Mapping[str, Any], make: Callable[[], Result]) -> Result:
        """The result of a part: the kept one if there is one, else what `make` gives, which is then kept.

        Args:
            name: of the part.
            inputs: everything that the result depends on, as JSON.
            make: does the work.

        Raises:
            RunFolderError: it was kept from other inputs; the message names them.
        """
        kept = self.read(name)
        if kept is not None:
            self._check(name, kept, inputs)
            result: Result = kept["result"]
            return result
        began = time.monotonic()
        result = make()
        write_json(
            self._file(name),
            {
                "part": name,
                "inputs": dict(inputs),
                "digest": digest_of(inputs),
                "seconds": round(time.monotonic() - began, 1),
                "result": result,
            },
        )
        return result

    def read(self, name: str) -> dict[str, Any] | None:
        """What is kept of a part, with its inputs; None if it is not done."""
        file = self._file(name)
        found: dict[str, Any] | None = read_json(file) if file.exists() else None
        return found

    def results(self) -> dict[str, Result]:
        """All results by name, each with its `digest`, in the order of their names."""
        kept = [read_json(file) for file in sorted(self.folder.glob("*.json"))]
        return {one["part"]: {"digest": one["digest"], **one["result"]} for one in kept}

    def _file(self, name: str) -> Path:
        part, _, detail = name.partition("/")
        readable = re.sub(r"[^A-Za-z0-9]+", "-", detail).strip("-")
        return self.folder / (f"{part}.{readable}.json" if detail else f"{part}.json")

    def _check(self, name: str, kept: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        if kept["digest"] == digest_of(inputs):
            return
        before, now = kept["inputs"], json.loads(json.dumps(inputs))
        changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        raise RunFolderError(
            f"{self._file(name)} was made from other {', '.join(changed)}; remove it to make it again, or "
            "give another --work"
        )


def chosen(offered: Mapping[str, T], names: Sequence[str] | None, kind: str) -> dict[str, T]:
    """Those of `names` in the order of what is offered; all where there are no names.

    Raises:
        InputError: a name is none of a `kind`.
    """
    for name in names or ():
        if name not in offered:
            raise InputError(f"there is no {kind} {name!r}; there are {'; '.join(offered)}")
    return {name: one for name, one in offered.items() if names is None or name in names}


def digest_of(inputs: Mapping[str, Any]) -> str:
    """Sixteen hex digits that change with every value."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
