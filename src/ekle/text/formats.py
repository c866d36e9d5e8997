"""Lines and rows of files and of data sets of the hub, one at a time.

Nothing here holds more than a part of a file: a line, a batch of a Parquet file, the next rows from the hub.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow
import pyarrow.parquet as parquet
import zstandard

from ekle.errors import TextError

JSON_LINES = (".jsonl", ".jsonl.zst")
PARQUET = ".parquet"

_PARQUET_ROWS = 1024  # per batch; pyarrow's default is 65,536


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, compressed or not, with their line ends.

    Raises:
        TextError: it is not UTF-8 (file and byte are named), or is damaged.
    """
    position = 0
    try:
        with _open(path) as lines:
            for line in lines:
                yield line.decode("utf-8")
                position += len(line)
    except UnicodeDecodeError as error:
        where = position + error.start
        raise TextError(
            f"{path} is not UTF-8 at byte {where:,}; convert it, for example with iconv"
        ) from error
    except zstandard.ZstdError as error:
        raise TextError(f"{path} is damaged after byte {position:,} of its text: {error}") from error


def json_rows(path: Path) -> Iterator[tuple[Any, str]]:
    """The content of each line of JSON lines, and its place for messages.

    Raises:
        TextError: a line is no JSON; and as `text_lines`.
    """
    for number, line in enumerate(text_lines(path), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                yield json.loads(line), where
            except ValueError as error:
                raise TextError(f"{where} is not JSON: {error}") from error


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns of a Parquet file. Raises as `parquet_rows`."""
    try:
        return list(parquet.read_schema(path).names)
    except pyarrow.ArrowInvalid as error:
        raise TextError(f"{path} is not a complete Parquet file: {error}") from error


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each row as a dictionary of `columns`, and its place for messages.

    Raises:
        TextError: it is no Parquet file, or is damaged.
    """
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_PARQUET_ROWS, columns=list(columns)):
            for row in batch.to_pylist():
                number += 1
                yield row, f"{path}, row {number}"
    except (pyarrow.ArrowException, OSError) as error:
        raise TextError(f"{path} is damaged after row {number:,}: {error}") from error


def hub_rows(source: str) -> Iterator[tuple[Any, str]]:
    """The rows of `hf:NAME[:CONFIG]`, train split, as they arrive, and the place of each for messages.

    Raises:
        TextError: the hub has no such data set or cannot be reached.
    """
    from datasets import load_dataset  # a slow import that most runs never need

    name, _, config = source.removeprefix("hf:").partition(":")
    try:
        rows = load_dataset(name, config or None, split="train", streaming=True)
        for number, row in enumerate(rows):
            yield row, f"{source}, row {number}"
    except (OSError, ValueError) as error:
        raise TextError(f"the hub did not give {source}: {type(error).__name__}: {error}") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".zst":
        return cast(BinaryIO, io.BufferedReader(zstandard.open(path, "rb"), 1 << 20))
    return path.open("rb", buffering=1 << 20)
