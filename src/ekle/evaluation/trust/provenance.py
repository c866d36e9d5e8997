"""Provenance: what was measured, on which device, with which libraries, after which training."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.artifacts import BaseModel, Checkpoint
from ekle.artifacts.evaluation_report import (
    LogEntry,
    Provenance,
    Source,
    TrainingLogs,
    VocabularySummary,
)
from ekle.evaluation.model.translation import signatures
from ekle.files import digest, read_json, short_names
from ekle.model.device import device_name, inference_device
from ekle.recipe.evaluation import EvaluationSettings

_LIBRARIES = ("torch", "transformers", "tokenizers")
_PARTS = re.compile(r"model|tokenizer|snapshots|\d-[a-z]+")
"""Names of folders inside a vocabulary, a run, or a model in the cache of the hub; the folder around them
has the name that people know."""


def provenance(
    places: Mapping[str, Path | str], tokenizers: Mapping[str, Tokenizer], settings: EvaluationSettings
) -> Provenance:
    """What two evaluations must share for their figures to be compared.

    Args:
        places: by name, the folder or hub id of everything that is measured.
        tokenizers: those of `places` whose tokens are measured.
        settings: for the files of gold, pairs and tasks.
    """
    device, dtype = inference_device()
    return Provenance(
        measured={
            name: Source(
                place=place_name(place),
                tokenizer=_digest(tokenizers[name]) if name in tokenizers else None,
            )
            for name, place in places.items()
        },
        files={
            name: digest(Path(file))
            for name, file in zip(short_names(settings.files), settings.files, strict=True)
        },
        device=device_name(device),
        dtype=str(dtype).removeprefix("torch."),
        versions={library: version(library) for library in _LIBRARIES},
        sacrebleu=signatures() if settings.parallel else None,
    )


def place_name(place: Path | str) -> str:
    """The name of a folder, without its path on this machine; a hub id stays as it is."""
    if not Path(place).exists() and not Path(place).is_absolute():
        return str(place)
    path = Path(os.path.abspath(place))  # noqa: PTH100 - a link keeps its name
    name = path.name
    while (_PARTS.fullmatch(path.name) or path.parent.name == "snapshots") and path.parent.name:
        path = path.parent
        name = f"{path.name}/{name}"
    return name


def _digest(tokenizer: Tokenizer) -> str:
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()


_LISTS = ("other", "protected", "rarely_used")
"""Long lists of a vocabulary's report that are not repeated; the vocabulary's page shows them."""


@dataclass(frozen=True)
class EarlierStages:
    """What earlier stages reported; None where that is not known."""

    vocabulary: VocabularySummary | None = None
    training: TrainingLogs | None = None


def vocabulary_summary(report: Mapping[str, Any]) -> VocabularySummary:
    """The report of a vocabulary without its long lists."""
    return VocabularySummary({key: value for key, value in report.items() if key not in _LISTS})


def training_logs(base: BaseModel, checkpoint: Checkpoint, control: Checkpoint | None = None) -> TrainingLogs:
    """The logs of all trainings.

    A base that was not trained here has no log.
    """
    pre_training: list[LogEntry] = read_json(base.folder / "base.json").get("curve", [])
    return TrainingLogs(
        base=pre_training or None,
        extended=checkpoint.history or None,
        control=(control.history or None) if control else None,
    )


def curve(log: Sequence[LogEntry], key: str) -> tuple[list[float], list[float]]:
    """Steps and values of the entries that hold `key`."""
    points = [
        (step, value)
        for entry in log
        if isinstance(step := entry.get("step"), int | float)
        and isinstance(value := entry.get(key), int | float)
    ]
    return [step for step, _ in points], [value for _, value in points]
