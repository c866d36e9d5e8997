"""The files beside the weights: the tokenizer from the vocabulary, everything else from the base."""

import json
import re
import shutil
from pathlib import Path

from ekle.bpe.chat_templates import read_templates, write_templates
from ekle.errors import CheckpointError
from ekle.files import whole_file
from ekle.model.weights import read_config

_SLOW_TOKENIZER = {"vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"}


def copy_companions(tokenizer: Path, base: Path, model: Path, rows: int) -> None:
    """Write the files beside the weights into the folder `model`.

    The base gives config.json (with `vocab_size` set to `rows` and not another byte changed),
    generation_config.json, its chat templates and its licence; `tokenizer`, a folder, gives the tokenizer,
    and the templates where the base has none. Files of a slow tokenizer would contradict tokenizer.json, and
    code is not carried on.

    Raises:
        CheckpointError: config.json has no single `vocab_size`.
        TokenizerError: what the base has for chat templates is none.
    """
    for path in sorted(base.iterdir()):
        if path.is_file() and _belongs(path):
            shutil.copyfile(path, model / path.name)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, model / name)
    write_templates(model, read_templates(base) or read_templates(tokenizer))
    with whole_file(model / "config.json") as temporary:
        temporary.write_text(_grown_config(base, rows), encoding="utf-8")


def _belongs(path: Path) -> bool:
    if path.name in _SLOW_TOKENIZER or path.name.startswith(".") or path.name.endswith(".index.json"):
        return False
    return path.suffix == ".json" or path.name.startswith(("LICENSE", "NOTICE"))


def _grown_config(base: Path, rows: int) -> str:
    text = (base / "config.json").read_text(encoding="utf-8")
    grown, count = re.subn(r'("vocab_size"\s*:\s*)\d+', rf"\g<1>{rows}", text)
    if count != 1 or json.loads(grown) != {**read_config(base), "vocab_size": rows}:
        raise CheckpointError(f"{base / 'config.json'} has no single vocab_size; ekle extends text models")
    return grown
