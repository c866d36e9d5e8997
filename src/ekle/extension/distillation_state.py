"""What an interrupted distillation goes on from: one file, whole or not at all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

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
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(distiller).items()}
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
                kept = {name: handle.get_tensor(name) for name in _tensors(distiller)}
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return Progress()  # never begun, or cut off by a failing disk
        for name, tensor in _tensors(distiller).items():  # not before all of them are read
            tensor.copy_(kept[name])
        progress.stretch = [(distance, entropy) for distance, entropy in progress.stretch]
        return progress


def _tensors(distiller: Distiller) -> dict[str, Tensor]:
    """What changes from step to step, by the name that it has in the file."""
    tensors = {f"{name}/rows": rows for name, rows in distiller.rows().items()}
    for name, adam in distiller.adams.items():
        tensors |= {f"{name}/{part}": value for part, value in adam.state.items()}
    return tensors


def stamp_of(
    distiller: Distiller,
    passages: Sequence[TwoCuts],
    scales: Mapping[str, float],
    settings: Distillation,
    seed: int,
) -> str:
    """A digest of everything that the rows in the end follow from: settings, passages, base, first rows."""
    about = settings.model_dump(exclude={"save_minutes"})
    fixed = [about, seed, dict(scales), distiller.fixed()]
    total = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode())
    for passage in passages:
        total.update(passage.base.tobytes())
        total.update(passage.new.tobytes())
    for name, rows in sorted(distiller.rows().items()):
        total.update(name.encode())
        total.update(raw_bytes(rows.cpu()))
    return total.hexdigest()
