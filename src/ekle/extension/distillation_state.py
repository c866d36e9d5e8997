"""What an interrupted distillation goes on from: one file, whole or not at all."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ekle.bpe.two_cuts import TwoCuts
from ekle.extension.distillation import Distiller
from ekle.files import whole_file
from ekle.model.shard import raw_bytes
from ekle.recipe.extension import Distillation

_FILE = "distilled.safetensors"


@dataclass
class Progress:
    """How far the learning is.

    `curve` holds steps with distance and cross-entropy, averaged since the entry before; `stretch` what came
    since the last.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    stretch: list[tuple[float, float]] = field(default_factory=list)


class DistillationState:
    """The state in a folder; one with another stamp is passed over.

    Args:
        folder: where it lies.
        stamp: says what is learned from what; see `stamp_of`.
    """

    def __init__(self, folder: Path, stamp: str) -> None:
        self._path, self._stamp = folder / _FILE, stamp

    def save(self, distiller: Distiller, progress: Progress) -> None:
        """Write rows, averages of the optimiser and progress.

        Raises:
            SpaceError: the disk is full; the state before stays.
        """
        tensors = {f"{name}/rows": rows for name, rows in distiller.rows().items()}
        for name, adam in distiller.adams.items():
            tensors |= {f"{name}/{part}": value for part, value in adam.state.items()}
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        about = {"stamp": self._stamp, "progress": json.dumps(asdict(progress))}
        with whole_file(self._path) as temporary:
            save_file(kept, temporary, metadata=about)

    def load(self, distiller: Distiller) -> Progress:
        """Put the state into `distiller` and say how far it is; the beginning, where there is none."""
        try:
            with safe_open(self._path, framework="pt") as handle:
                about = handle.metadata() or {}
                if about.get("stamp") != self._stamp:
                    return Progress()
                progress = Progress(**json.loads(about["progress"]))
                for name, rows in distiller.rows().items():
                    rows.copy_(handle.get_tensor(f"{name}/rows"))
                    for part, value in distiller.adams[name].state.items():
                        value.copy_(handle.get_tensor(f"{name}/{part}"))
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return Progress()  # never begun, or cut off by a failing disk
        progress.stretch = [(distance, entropy) for distance, entropy in progress.stretch]
        return progress


def stamp_of(distiller: Distiller, passages: Sequence[TwoCuts], settings: Distillation, seed: int) -> str:
    """A digest of the settings, the passages and the rows to start from."""
    about = settings.model_dump(exclude={"save_minutes"})
    total = hashlib.sha256(json.dumps([about, seed], sort_keys=True).encode())
    for passage in passages:
        total.update(passage.base.tobytes())
        total.update(passage.new.tobytes())
    for name, rows in sorted(distiller.rows().items()):
        total.update(name.encode())
        total.update(raw_bytes(rows.cpu()))
    return total.hexdigest()
