"""What a slow rule leaves in its scratch folder, so that a killed run goes on from there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ekle.files import atomic_file


class SavedState:
    """Tensors and facts in one file, found again by what they were made from.

    Args:
        path: the file; its folder is made.
        fingerprint: identifies what they were made from; a file with another one counts as absent.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write both; `facts` are JSON.

        Raises:
            SpaceError: the disk is full; the previous state stays.
        """
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        about = {"fingerprint": self._fingerprint, "facts": json.dumps(facts)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._path) as temporary:
            save_file(stored, temporary, metadata=about)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What `save` wrote; None if there is nothing, if it was made from something else, or is damaged."""
        try:
            with safe_open(self._path, framework="pt") as handle:
                about = handle.metadata() or {}
                if about.get("fingerprint") != self._fingerprint:
                    return None
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
                return tensors, json.loads(about["facts"])
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
