"""Writing the released model folder: merge, cast, copy, and verify without loading the model."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, assert_never

import torch
from torch import Tensor

from ekle.artifacts import Checkpoint
from ekle.bpe.chat_templates import read_templates, write_templates
from ekle.bpe.opening import open_tokenizer_file
from ekle.bpe.special_tokens import TOKENIZER_CLASS
from ekle.errors import PreservationError
from ekle.files import atomic_file, read_json
from ekle.model.checkpoint.companions import companions
from ekle.model.checkpoint.loading import expected_shapes
from ekle.model.checkpoint.merging import merged_tensors, stored_once
from ekle.model.checkpoint.weights import check_space, open_weights, read_config_json, write_weights
from ekle.progress import ProgressReporter, Task

Dtype = Literal["base", "bf16", "fp32"]


def write_release(
    source: Path,
    checkpoint: Checkpoint | None,
    model: Path,
    *,
    dtype: Dtype,
    shard_bytes: int,
    reporter: ProgressReporter,
) -> None:
    """Merge `checkpoint` into the model folder `source`, which was trained, and write the result to `model`.

    The files that are part of the model (see `ekle.model.checkpoint.companions`) are copied as they are, so
    that no library rewrites them: transformers 5 would save the tokenizer under a class name that 4 does not
    know. Other files stay behind, and the reporter receives their names. README.md goes along where nothing
    is merged.

    Raises:
        CheckpointError: the model is damaged.
        PreservationError: what was written does not load as the model that config.json describes.
        SpaceError: the disk cannot take the model.
    """
    kind = _torch_dtype(dtype)
    model.mkdir(parents=True, exist_ok=True)
    with open_weights(source) as weights:
        names = stored_once(weights)
        beside = companions(source, weights.files(), page=checkpoint is None)
        check_space(model, sum(_size(weights.shape(name), kind or weights.dtype(name)) for name in names))
    with reporter.task("writing the release", len(names), "tensors") as task:
        digests = write_weights(model, _cast(source, checkpoint, kind, task), shard_bytes)
    for path in beside.part:
        shutil.copyfile(path, model / path.name)
    beside.report(source, reporter)
    write_templates(model, read_templates(source))  # some are in a folder of their own
    if kind is not None:
        _write_dtype(model / "config.json", str(kind).removeprefix("torch."))
    with reporter.task("verifying the release", len(names), "tensors") as task:
        verify(model, digests, task.advance)
    if checkpoint is None or checkpoint.has_new_rows:
        verify_tokenizer(model)  # that of a base is another's: its rows may be padded


def _cast(
    source: Path, checkpoint: Checkpoint | None, kind: torch.dtype | None, task: Task
) -> Iterator[tuple[str, Tensor]]:
    for pair in merged_tensors(source, checkpoint):
        yield pair if kind is None else (pair[0], pair[1].to(kind))
        del pair  # or it would stay in memory while the next one is made
        task.advance()


def _torch_dtype(dtype: Dtype) -> torch.dtype | None:
    match dtype:
        case "base":
            return None
        case "bf16":
            return torch.bfloat16
        case "fp32":
            return torch.float32
        case _:
            assert_never(dtype)


def _size(shape: tuple[int, ...], kind: torch.dtype) -> int:
    return torch.Size(shape).numel() * kind.itemsize


def _write_dtype(config: Path, name: str) -> None:
    """Write the precision of the weights into config.json, or loading would cast them back."""
    text = config.read_text(encoding="utf-8")
    written, count = re.subn(r'("(?:torch_)?dtype"\s*:\s*)"\w+"', rf'\g<1>"{name}"', text)
    if not count:
        written = json.dumps({**json.loads(text), "dtype": name}, ensure_ascii=False, indent=2) + "\n"
    with atomic_file(config) as temporary:
        temporary.write_text(written, encoding="utf-8")


def verify(model: Path, digests: Mapping[str, str], done: Callable[[], None]) -> None:
    """Compare the folder `model` with the digests of what was written, and with its config.

    Names and shapes are compared with the architecture that config.json describes, which is built without
    memory for its weights.

    Raises:
        PreservationError: they differ.
        CheckpointError: config.json describes no model.
    """
    wanted = expected_shapes(model)
    with open_weights(model) as weights:
        found = {name: weights.shape(name) for name in weights.names()}
        differing = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        if differing:
            raise PreservationError(f"{model}: {differing[0]} is not as config.json describes the model")
        for name in weights.names():
            if weights.digest(name) != digests[name]:
                raise PreservationError(f"{model}: {name} was not written as it was; is the disk sound?")
            done()


def verify_tokenizer(model: Path) -> None:
    """See that the tokenizer of the extended model in the folder `model` is whole and as ekle writes it.

    Raises:
        PreservationError: it has another number of ids than the model has rows, or another class.
    """
    highest = max(open_tokenizer_file(model / "tokenizer.json").get_vocab().values())
    rows = read_config_json(model)["vocab_size"]
    if highest + 1 != rows:
        raise PreservationError(f"{model}: the highest id is {highest:,} but there are {rows:,} rows")
    name = read_json(model / "tokenizer_config.json").get("tokenizer_class")
    if name != TOKENIZER_CLASS:
        raise PreservationError(f"{model}: the tokenizer's class is {name} and not {TOKENIZER_CLASS}")
