"""The base stage in a run: a folder is checked, a hub model fetched, the tiny one built."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download

from ekle.artifacts import BaseModel, Corpus, read_documents
from ekle.base.tiny import build
from ekle.bpe.base import load_base
from ekle.errors import InputError
from ekle.files import write_json
from ekle.model.checkpoint.loading import check_complete
from ekle.model.checkpoint.weights import check_embedding_rows, open_weights
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe

_MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "LICENSE*"]


@dataclass(frozen=True)
class Inputs:
    """The corpus; only the tiny model reads it."""

    corpus: Corpus


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> BaseModel:
    """Write `base.json` with the place of the model, which is made here when it is the tiny one.

    Raises:
        InputError: there is no such folder and the hub does not give it.
        CheckpointError: the folder holds no complete, unquantised safetensors model of the kind that
            config.json describes, a row of it is not finite, or it has other rows than the tokenizer.
    """
    name = recipe.base.model
    about: dict[str, object] = {"name": name}
    if name == "tiny":
        texts = [*read_documents(inputs.corpus.train), *read_documents(inputs.corpus.replay)]
        base = load_base(recipe.base.tokenizer, recipe.base.revision)
        temporary = folder / ".model.partial"
        shutil.rmtree(temporary, ignore_errors=True)
        about["curve"] = build(recipe.base.tiny, base, texts, recipe.seed, temporary, reporter)
        shutil.rmtree(folder / "model", ignore_errors=True)
        temporary.replace(folder / "model")
        model = folder / "model"
    else:
        model = resolve_model(name, recipe.base.revision)
    with open_weights(model) as weights:
        rows = load_base(recipe.base.tokenizer, recipe.base.revision).rows
        check_embedding_rows(weights, rows, "give base.model and base.tokenizer that belong together")
        check_complete(weights)
        about |= {"rows": rows, "bytes": weights.bytes()}
    write_json(folder / "base.json", {"model": _relative_path(folder, model), **about})
    return BaseModel(folder, name)


def _relative_path(folder: Path, model: Path) -> str:
    """The way from `folder` to `model`: it tells nothing of this machine but what lies between the two."""
    try:
        return Path(os.path.relpath(model.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive, on Windows
        return str(model.resolve())


def resolve_model(name: str, revision: str | None = None) -> Path:
    """The folder of a model given as folder or hub id.

    Raises:
        InputError: there is no such folder, and the hub has no such id or cannot be reached.
    """
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise InputError(
            f"there is no model folder {name}; give a folder, or a hub id such as Qwen/Qwen3-0.6B"
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_MODEL_FILES))
    except Exception as error:  # the hub client raises many unrelated types; each means "not to be had"
        raise InputError(
            f"{name} is no folder, and the hub did not give it ({type(error).__name__}); "
            "check the name and the network"
        ) from error
