"""Stage 3, base, in a run: a folder is checked, a hub model downloaded, the tiny model trained."""

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
from ekle.model.checkpoint.loading import check_complete, superfluous_head
from ekle.model.checkpoint.weights import check_embedding_rows, open_weights
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe

_MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "LICENSE*"]


@dataclass(frozen=True)
class Inputs:
    """The corpus; only the tiny model is trained on it."""

    corpus: Corpus


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> BaseModel:
    """Write `base.json` with the path of the model; the tiny model is made here.

    Raises:
        InputError: there is no such folder, and the hub does not give the model.
        CheckpointError: the folder has no complete, unquantised safetensors model as config.json describes
            it, an embedding row is not finite, their number is not the tokenizer's, or config.json and
            weights disagree on whether both ends are one matrix.
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
        superfluous_head(weights)
        check_complete(weights)
        about |= {"rows": rows, "bytes": weights.bytes()}
    write_json(folder / "base.json", {"model": _relative_path(folder, model), **about})
    return BaseModel(folder, name)


def _relative_path(folder: Path, model: Path) -> str:
    """The path from `folder` to `model`, which says as little as possible about this machine."""
    try:
        return Path(os.path.relpath(model.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive, on Windows
        return str(model.resolve())


def resolve_model(name: str, revision: str | None = None) -> Path:
    """The folder of a model that is given as a folder or a hub id.

    Raises:
        InputError: there is no such folder, and the hub has no such model or cannot be reached.
    """
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise InputError(
            f"there is no model folder {name}; give a folder, or a hub id such as Qwen/Qwen3-0.6B"
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_MODEL_FILES))
    except Exception as error:  # the hub client raises many unrelated types; each means "not available"
        raise InputError(
            f"{name} is no folder, and the hub did not give it ({type(error).__name__}); "
            "check the name and the network"
        ) from error
