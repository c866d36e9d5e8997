"""The files beside the weights: the tokenizer from the vocabulary, everything else from the base."""

import json
import re
import shutil
from pathlib import Path

from ekle.errors import CheckpointError
from ekle.files import read_json, whole_file
from ekle.model.weights import read_config

_SLOW_TOKENIZER = {"vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"}
_TEMPLATE = "chat_template.jinja"


def copy_companions(tokenizer: Path, base: Path, model: Path, rows: int) -> None:
    """Write the files beside the weights into the folder `model`.

    The base gives config.json (with `vocab_size` set to `rows` and not another byte changed),
    generation_config.json, its chat template and its licence; `tokenizer`, a folder, gives the tokenizer.
    Files of a slow tokenizer would contradict tokenizer.json, and code is not carried on.

    Raises:
        CheckpointError: config.json has no single `vocab_size`.
    """
    for path in sorted(base.iterdir()):
        if path.is_file() and _belongs(path):
            shutil.copyfile(path, model / path.name)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, model / name)
    _write_template(tokenizer, base, model)
    with whole_file(model / "config.json") as temporary:
        temporary.write_text(_grown_config(base, rows), encoding="utf-8")


def _belongs(path: Path) -> bool:
    if path.name in _SLOW_TOKENIZER or path.name.startswith(".") or path.name.endswith(".index.json"):
        return False
    return path.suffix in (".json", ".jinja") or path.name.startswith(("LICENSE", "NOTICE"))


def _write_template(tokenizer: Path, base: Path, model: Path) -> None:
    """The base's chat template, wherever it keeps it; the vocabulary's if it has none."""
    if (base / _TEMPLATE).exists():
        return  # copied already
    inside = base / "tokenizer_config.json"
    template = read_json(inside).get("chat_template") if inside.exists() else None
    if isinstance(template, str):
        with whole_file(model / _TEMPLATE) as temporary:
            temporary.write_text(template, encoding="utf-8")
    elif (tokenizer / _TEMPLATE).exists():
        shutil.copyfile(tokenizer / _TEMPLATE, model / _TEMPLATE)


def _grown_config(base: Path, rows: int) -> str:
    text = (base / "config.json").read_text(encoding="utf-8")
    grown, count = re.subn(r'("vocab_size"\s*:\s*)\d+', rf"\g<1>{rows}", text)
    if count != 1 or json.loads(grown) != {**read_config(base), "vocab_size": rows}:
        raise CheckpointError(f"{base / 'config.json'} has no single vocab_size; ekle extends text models")
    return grown
