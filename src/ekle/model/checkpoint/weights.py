"""Safetensors folders, read and written tensor by tensor.

A model of any size is copied in the memory of its largest tensor: names and shapes come from the headers,
rows from slices, and the SHA-256 of every tensor is computed on the way.
"""

import hashlib
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from ekle.errors import CheckpointError, SpaceError
from ekle.files import read_json, write_json
from ekle.model.checkpoint.safetensors_file import (
    UNQUANTISED,
    SafetensorsFile,
    SafetensorsWriter,
    StreamedTensor,
    raw_bytes,
)

INPUT_EMBEDDINGS = "model.embed_tokens.weight"
OUTPUT_EMBEDDINGS = "lm_head.weight"
"""Names of the embedding matrices; a tied model has only the first."""

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
BLOCK_BYTES = 64_000_000
"""Most bytes of a tensor that are read at a time."""


class Weights:
    """The tensors of a model folder; a context manager, closed at its end."""

    def __init__(self, folder: Path, shards: Mapping[str, SafetensorsFile]) -> None:
        self.folder = folder
        self._shards = shards
        self._home = {name: shard for shard in shards.values() for name in shard.entries}

    def names(self) -> list[str]:
        """Names of all tensors, sorted."""
        return sorted(self._home)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._home[name].entries[name].shape

    def dtype(self, name: str) -> torch.dtype:
        """Data type of a tensor."""
        return self._home[name].entries[name].dtype

    def files(self) -> list[str]:
        """Names of the files that hold the tensors."""
        return list(self._shards)

    def bytes(self) -> int:
        """Size of all files."""
        return sum((self.folder / file).stat().st_size for file in self._shards)

    def read(self, name: str) -> Tensor:
        """A tensor in full, of any shape."""
        return self._home[name].read(name)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop` of a tensor, (stop - start, ...), without reading the others."""
        return self._home[name].rows(name, start, min(stop, self.shape(name)[0]))

    def take(self, name: str, ids: Sequence[int]) -> Tensor:
        """The rows `ids` of a tensor, (ids, ...), without reading the others; consecutive ids in one read."""
        found = torch.empty((len(ids), *self.shape(name)[1:]), dtype=self.dtype(name))
        start = 0
        while start < len(ids):
            stop = start + 1
            while stop < len(ids) and ids[stop] == ids[stop - 1] + 1:
                stop += 1
            found[start:stop] = self.rows(name, ids[start], ids[stop - 1] + 1)
            start = stop
        return found

    def blocks(self, name: str, rows: int | None = None) -> Iterator[Tensor]:
        """The first `rows` rows of a tensor (all, if None) in blocks of at most 64 MB or one row."""
        shape = self.shape(name)
        if not shape:
            yield self.read(name)
            return
        stop = shape[0] if rows is None else rows
        row_bytes = max(1, math.prod(shape[1:]) * self.dtype(name).itemsize)
        step = max(1, BLOCK_BYTES // row_bytes)
        for start in range(0, stop, step):
            yield self.rows(name, start, min(start + step, stop))

    def digest(self, name: str, rows: int | None = None) -> str:
        """SHA-256 of the bytes of a tensor, or of its first `rows` rows."""
        total = hashlib.sha256()
        for block in self.blocks(name, rows):
            total.update(raw_bytes(block))
        return total.hexdigest()

    def close(self) -> None:
        """Close all files."""
        for shard in self._shards.values():
            shard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_weights(folder: Path) -> Weights:
    """Open the safetensors of a model folder, one file or many with an index.

    Raises:
        CheckpointError: config.json or the safetensors are missing, a shard is missing or truncated, the
            index does not fit the shards, or the weights are quantised.
    """
    if not (folder / "config.json").exists():
        if (folder / "adapter_config.json").exists():
            raise CheckpointError(
                f"{folder} holds an adapter and no model; merge it into its base with PEFT's "
                "merge_and_unload, and give the folder that you save then"
            )
        raise CheckpointError(f"{folder} is no model folder: config.json is missing")
    check_unquantised(str(folder), read_json(folder / "config.json"))
    index = _read_index(folder)
    files = sorted(set(index.values())) if index is not None else [_SINGLE]
    with ExitStack() as opened:
        shards: dict[str, SafetensorsFile] = {}
        for file in files:
            shards[file] = SafetensorsFile(folder / file)
            opened.callback(shards[file].close)
        _check_names(folder, index, shards)
        opened.pop_all()
    return Weights(folder, shards)


def check_unquantised(name: str, config: Mapping[str, Any]) -> None:
    """Raise CheckpointError if config.json, or what the hub says of it, names a quantisation.

    Args:
        name: folder or hub id of the model.
        config: the content of config.json.
    """
    if quantisation := config.get("quantization_config"):
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
        kind = f" ({method})" if method else ""
        if method == "gguf":  # what transformers loads from a GGUF file, unless it is asked for plain weights
            raise CheckpointError(
                f"{name} was loaded from a GGUF file as quantised weights; load it again with "
                "quantization_config=GgufConfig(dequantize=True) and save that"
            )
        raise CheckpointError(f"{name} holds quantised weights{kind}; {UNQUANTISED}")


def check_embedding_rows(weights: Weights, rows: int, remedy: str) -> None:
    """Check that the embedding matrices have `rows` rows, all of them finite.

    Args:
        weights: the model.
        rows: embedding rows that the tokenizer or vocabulary was made for.
        remedy: what the user can do if the number differs; the end of the message.

    Raises:
        CheckpointError: another number of rows, or a row with NaN or infinity.
    """
    for name in embedding_names(weights):
        found = weights.shape(name)[0]
        if found != rows:
            what = "fewer rows than there are ids" if found < rows else "another padding"
            raise CheckpointError(
                f"{weights.folder} has {found:,} rows in {name}, {rows:,} are wanted ({what}); {remedy}"
            )
        start = 0
        for block in weights.blocks(name):
            bad = torch.isfinite(block).all(dim=1).logical_not().nonzero()
            if len(bad):
                raise CheckpointError(
                    f"{weights.folder}: row {start + int(bad[0]):,} of {name} is not finite; "
                    "the checkpoint is damaged, fetch it again"
                )
            start += len(block)


def embedding_names(weights: Weights) -> list[str]:
    """Names of the model's embedding matrices: input, and output unless they are tied."""
    return [name for name in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS) if name in weights.names()]


def write_weights(
    folder: Path, tensors: Iterable[tuple[str, Tensor | StreamedTensor]], shard_bytes: int
) -> dict[str, str]:
    """Write `tensors` into safetensors files of at most `shard_bytes`; a larger tensor gets its own file.

    Each tensor is written as it comes and freed, so one tensor, or one part of it, is in memory at a time.

    Returns:
        The SHA-256 of each tensor's bytes, by name.

    Raises:
        SpaceError: the disk is full.
    """
    digests: dict[str, str] = {}
    parts: list[SafetensorsWriter] = []
    total = 0
    with ExitStack() as opened:
        for name, tensor in tensors:
            length = math.prod(tensor.shape) * tensor.dtype.itemsize
            full = not parts or (parts[-1].size > 0 and parts[-1].size + length > shard_bytes)
            if full or not parts[-1].takes(name, tensor):
                opened.close()
                parts.append(opened.enter_context(SafetensorsWriter(folder / _part(len(parts)))))
            digests[name] = parts[-1].write(name, tensor)
            total += length
            del tensor  # or it would stay in memory while the next one is made
    if len(parts) == 1:
        (folder / _part(0)).rename(folder / _SINGLE)
        return digests
    weight_map: dict[str, str] = {}
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05}-of-{len(parts):05}.safetensors"
        (folder / _part(number)).rename(folder / file)
        weight_map.update(dict.fromkeys(part.names(), file))
    write_json(folder / _INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    return digests


def check_space(folder: Path, needed: int) -> None:
    """Raise SpaceError unless the disk of `folder` has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SpaceError(
            f"{folder} needs {needed / 1e9:.1f} GB but the disk has {free / 1e9:.1f} GB free; "
            "make room or choose another disk"
        )


def read_config_json(folder: Path) -> dict[str, Any]:
    """The content of config.json, without defaults for what it leaves out."""
    config: dict[str, Any] = read_json(folder / "config.json")
    return config


def _read_index(folder: Path) -> dict[str, str] | None:
    """File by tensor name, from the index; None if all tensors are in one file."""
    if (folder / _INDEX).exists():
        index = read_json(folder / _INDEX)
        files = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(files, dict) or not files:
            raise CheckpointError(f"{folder / _INDEX} has no weight_map; fetch it again")
        for file in sorted(set(files.values())):
            if Path(file).name != file:
                raise CheckpointError(f"{folder / _INDEX} names {file}, which is outside the model folder")
            if not (folder / file).exists():
                raise CheckpointError(f"{folder / file} is missing; the index names it")
        return files
    if (folder / _SINGLE).exists():
        return None
    pickles = any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth"))
    hint = "only pickles, which can run code; convert them to safetensors" if pickles else "no safetensors"
    if any(folder.glob("*.safetensors")):
        hint = f"safetensors but neither {_SINGLE} nor {_INDEX}, which says what is in them; fetch it again"
    raise CheckpointError(f"{folder} holds {hint}")


def _check_names(
    folder: Path, index: Mapping[str, str] | None, shards: Mapping[str, SafetensorsFile]
) -> None:
    """Check that index and shards name the same tensors, among them the input embeddings."""
    held = {name: file for file, shard in shards.items() for name in shard.entries}
    for name, file in (index or {}).items():
        if name not in shards[file].entries:
            raise CheckpointError(f"{folder / file} lacks {name}, which the index puts there; fetch it again")
    for name in held:
        if name.endswith((".qweight", ".scales", ".qzeros")):
            raise CheckpointError(f"{folder} holds quantised weights ({name}); {UNQUANTISED}")
    if INPUT_EMBEDDINGS not in held:
        raise CheckpointError(f"{folder} has no {INPUT_EMBEDDINGS}; ekle extends Qwen3-like models")


def _part(number: int) -> str:
    return f"part-{number}.safetensors"


class EmbeddingMatrix(Protocol):
    """A model's input or output embeddings (count, width), read row by row."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def width(self) -> int:
        """Numbers in a row."""

    def take(self, ids: Tensor) -> Tensor:
        """The rows `ids` (n,), in any order and with repeats, as (n, width) in float32."""


class StoredEmbeddingMatrix:
    """An embedding matrix of a model folder; reads only the rows that are asked for."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._weights, self._name = weights, name
        self.count, self.width = weights.shape(name)

    def take(self, ids: Tensor) -> Tensor:
        """The rows `ids` (n,), (n, width) in float32; see `EmbeddingMatrix`."""
        distinct, places = torch.unique(ids, return_inverse=True)
        return self._weights.take(self._name, distinct.tolist()).float()[places]


class LoadedEmbeddingMatrix:
    """An embedding matrix in memory, (count, width) in any precision, on any device."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows
        self.count, self.width = rows.shape

    def take(self, ids: Tensor) -> Tensor:
        """The rows `ids` (n,), (n, width) in float32 on the CPU; see `EmbeddingMatrix`."""
        return self._rows[ids.to(self._rows.device)].float().cpu()


def row_chunks(rows: EmbeddingMatrix, ids: Tensor) -> Iterator[Tensor]:
    """The rows `ids` (n,) in order, as chunks (rows, width) of at most 64 MB of float32."""
    for chunk in ids.split(rows_per_chunk(rows.width)):
        yield rows.take(chunk)


def rows_per_chunk(width: int) -> int:
    """Rows of `width` numbers in float32 that fill 64 MB; at least one."""
    return max(1, BLOCK_BYTES // (4 * width))
