"""One safetensors file, read and written tensor by tensor through plain file calls.

The format is the header's length in 8 bytes, a JSON header with type, shape and place of each tensor, and the
data (https://huggingface.co/docs/safetensors). The safetensors library maps the file into memory, so that all
that was read counts as used until the file is closed, and it writes only what is in memory in full. Here only
one tensor is in memory, however large the file.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from ekle.errors import CheckpointError
from ekle.files import raise_if_full

UNQUANTISED = (
    "take the model that it was made from, in bfloat16, float16 or float32: "
    "a hub has it under the name without FP8, AWQ, GPTQ or Int4"
)
"""The cure for quantised weights; the end of a message."""

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LONGEST_HEADER = 100_000_000  # the library's own limit
_HEADER_BYTES = 65_536


@dataclass(frozen=True)
class TensorEntry:
    """Type, shape and place of one tensor; `start` counts from the beginning of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int


class SafetensorsFile:
    """An open safetensors file.

    Raises:
        CheckpointError: the file is missing, damaged or truncated, or has numbers other than floats.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: BufferedReader = path.open("rb")
        except OSError as error:
            raise CheckpointError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            self.entries = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop` of a tensor, (stop - start, ...), as a copy in memory."""
        entry = self.entries[name]
        tensor = torch.empty((max(stop - start, 0), *entry.shape[1:]), dtype=entry.dtype)
        row_bytes = math.prod(entry.shape[1:]) * entry.dtype.itemsize
        self._fill(tensor, entry.start + start * row_bytes)
        return tensor

    def read(self, name: str) -> Tensor:
        """A tensor in full, of any shape, as a copy in memory."""
        entry = self.entries[name]
        tensor = torch.empty(entry.shape, dtype=entry.dtype)
        self._fill(tensor, entry.start)
        return tensor

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _fill(self, tensor: Tensor, start: int) -> None:
        view = memoryview(raw_bytes(tensor))
        self._file.seek(start)
        while len(view):  # one call reads at most 2 GiB
            count = self._file.readinto(view)
            if not count:
                raise CheckpointError(f"{self._path} ends too early; fetch it again")
            view = view[count:]

    def _read_header(self) -> dict[str, TensorEntry]:
        size = self._path.stat().st_size
        length = int.from_bytes(self._file.read(8), "little")
        if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            raise CheckpointError(f"{self._path} is damaged or cut short; fetch it again")
        try:
            header: dict[str, Any] = json.loads(self._file.read(length))
            header.pop("__metadata__", None)
            places = {name: tuple(entry["data_offsets"]) for name, entry in header.items()}
            shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
            types = {name: entry["dtype"] for name, entry in header.items()}
            end = 8 + length + max((stop for _, stop in places.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{self._path} is no safetensors file; fetch it again") from error
        if end != size:
            raise CheckpointError(
                f"{self._path} is damaged or cut short: {size:,} bytes of {end:,}; fetch it again"
            )
        entries: dict[str, TensorEntry] = {}
        for name, (start, stop) in places.items():
            dtype = _DTYPES.get(types[name])
            if dtype is None:
                raise CheckpointError(
                    f"{self._path} holds {types[name]} numbers ({name}): quantised weights; {UNQUANTISED}"
                )
            if stop - start != math.prod(shapes[name]) * dtype.itemsize:
                raise CheckpointError(f"{self._path} contradicts itself on {name}; fetch it again")
            entries[name] = TensorEntry(dtype, shapes[name], 8 + length + start)
        return entries


@dataclass(frozen=True)
class StreamedTensor:
    """A tensor (rows, ...) that comes in parts (some rows, ...) and is never in memory in full."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    parts: Iterable[Tensor]


class SafetensorsWriter:
    """A safetensors file that takes tensors one after another; a context manager, complete at its end.

    The header comes before the data but is known only after it. So space is reserved for it, and what it does
    not need is filled with blanks, as the format allows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._file.seek(8 + _HEADER_BYTES)
        self._header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        self._header_bytes = len(json.dumps(self._header))
        self.size = 0

    def takes(self, name: str, tensor: Tensor | StreamedTensor) -> bool:
        """Whether the header has space for the tensor, and the tensor would be aligned."""
        more = len(json.dumps({name: self._about(tensor)}))
        return self._header_bytes + more <= _HEADER_BYTES and self.size % tensor.dtype.itemsize == 0

    def write(self, name: str, tensor: Tensor | StreamedTensor) -> str:
        """Append a tensor; returns the SHA-256 of its bytes, taken while they are written.

        Raises:
            SpaceError: the disk is full.
        """
        about = self._about(tensor)
        total, written = hashlib.sha256(), 0
        for part in tensor.parts if isinstance(tensor, StreamedTensor) else (tensor,):
            if part.dtype != tensor.dtype:
                raise ValueError(f"a part of {name} is {part.dtype} and not {tensor.dtype}")
            raw = raw_bytes(part)
            total.update(raw)
            written += raw.nbytes
            try:
                self._file.write(raw)
            except OSError as error:
                raise_if_full(error, self._path)
                raise
        start, stop = about["data_offsets"]
        if written != stop - start:
            raise ValueError(f"the parts of {name} have {written:,} bytes, its shape {stop - start:,}")
        self._header[name] = about
        self._header_bytes += len(json.dumps({name: about}))
        self.size += written
        return total.hexdigest()

    def names(self) -> list[str]:
        """Names of the tensors that were written, in order."""
        return [name for name in self._header if name != "__metadata__"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                header = json.dumps(self._header).encode().ljust(_HEADER_BYTES)
                self._file.seek(0)
                self._file.write(len(header).to_bytes(8, "little") + header)
            self._file.close()
        except OSError as problem:
            raise_if_full(problem, self._path)
            raise

    def _about(self, tensor: Tensor | StreamedTensor) -> dict[str, Any]:
        stop = self.size + math.prod(tensor.shape) * tensor.dtype.itemsize
        return {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [self.size, stop],
        }


def raw_bytes(tensor: Tensor) -> Any:
    """The bytes of a tensor on the CPU as a NumPy array of uint8: a view if it is contiguous."""
    flat = tensor.detach().contiguous().view(-1)
    return flat.view(torch.uint8).numpy() if flat.numel() else torch.empty(0, dtype=torch.uint8).numpy()
