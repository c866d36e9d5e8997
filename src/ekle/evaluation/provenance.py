"""Where figures come from: what was measured, on which device, and with which libraries."""

import hashlib
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.evaluation.translation import signatures
from ekle.files import digest
from ekle.model.device import device_here, device_name
from ekle.recipe.evaluation import Evaluation
from ekle.text.read import names_of

_LIBRARIES = ("torch", "transformers", "tokenizers")
_PARTS = re.compile(r"model|tokenizer|snapshots|\d-[a-z]+")
"""Folders inside something that has the name: a vocabulary, a run, a model in the cache of the hub."""


def provenance(
    places: Mapping[str, Path | str], tokenizers: Mapping[str, Tokenizer], settings: Evaluation
) -> dict[str, Any]:
    """What two evaluations must share for their figures to be held against each other.

    Args:
        places: by name, the folder or hub id of everything that is measured.
        tokenizers: those of `places` whose tokens are measured.
        settings: names the files of gold, pairs and tasks.

    Returns:
        `measured`, by name: `place`, the name of a folder or a hub id, and `tokenizer`, its SHA-256; `files`,
        the SHA-256 of each that the settings name; `device`, `dtype`; `versions` of libraries; where
        translations are scored `sacrebleu`, its signatures.
    """
    device, dtype = device_here()
    return {
        "measured": {
            name: {"place": called(place)}
            | ({"tokenizer": _digest(tokenizers[name])} if name in tokenizers else {})
            for name, place in places.items()
        },
        "files": {
            name: digest(Path(file))
            for name, file in zip(names_of(settings.files), settings.files, strict=True)
        },
        "device": device_name(device),
        "dtype": str(dtype).removeprefix("torch."),
        "versions": {library: version(library) for library in _LIBRARIES},
        **({"sacrebleu": signatures()} if settings.parallel else {}),
    }


def called(place: Path | str) -> str:
    """The name of a folder, without where it lies on this machine; a hub id is one."""
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
