"""Reading documents, one after the other, from whatever the user names as a source.

A `.txt` file holds one document a line; `.jsonl` and `.jsonl.zst` one JSON object a line; `.parquet`
one row each. A folder is read recursively in the order of its file names. `hf:NAME[:CONFIG]` streams
the train split of a data set from the hub. `bundled:tr` and `bundled:en` are ekle's own text.
"""

import io
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow.parquet as parquet
import zstandard

from ekle.errors import TextError

_SUFFIXES = (".txt", ".jsonl", ".jsonl.zst", ".parquet")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, never empty, and the name of the file or data set it stood in."""

    text: str
    source: str


def documents(
    sources: Sequence[str], *, text_field: str = "text", max_bytes: int | None = None
) -> Iterator[Document]:
    """The documents of `sources` in order; blank ones and NUL characters are left out.

    Args:
        sources: files, folders, `hf:NAME[:CONFIG]`, `bundled:tr`, `bundled:en`.
        text_field: field (JSON lines) or column (Parquet, hub) that holds the text.
        max_bytes: stop after this many bytes of UTF-8 text.

    Raises:
        TextError: a source is absent, holds no text file, is not UTF-8 (file and byte are named), or
            lacks `text_field`.
    """
    read = 0
    for source in sources:
        for raw, name in _source(source, text_field):
            text = raw.replace("\x00", "").strip("\r\n")
            if not text or text.isspace():
                continue
            yield Document(text, name)
            if max_bytes is not None:
                read += len(text.encode("utf-8"))
                if read >= max_bytes:
                    return


def names_of(files: Sequence[str], taken: Collection[str] = ()) -> list[str]:
    """A name for each of `files`, to report it by: that of the file without its ending, with a number where
    another or one of `taken` has it already."""
    names: list[str] = []
    for file in files:
        stem = _stem(Path(file))
        number, name = 1, stem
        while name in names or name in taken:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return names


def _stem(path: Path) -> str:
    """The name of a text file without what says how it is written."""
    return path.name.removesuffix(".zst").rsplit(".", 1)[0]


def check_sources(sources: Sequence[str]) -> None:
    """Raise TextError for the first source that cannot be there, without reading any."""
    for source in sources:
        if not source.startswith("hf:"):
            list(_files(source))


def files_of(sources: Sequence[str]) -> list[Path]:
    """The local files that `sources` name."""
    return [path for source in sources if not source.startswith("hf:") for path in _files(source)]


def _source(source: str, text_field: str) -> Iterator[tuple[str, str]]:
    """Each text of a source, and the name of where it stood."""
    if source.startswith("hf:"):
        yield from _hub(source, text_field)
        return
    for path in _files(source):
        name = _stem(path)
        for text in _texts(path, text_field):
            yield text, name


def _files(source: str) -> Iterable[Path]:
    if source.startswith("bundled:"):
        folder = Path(str(resources.files("ekle.text") / "data"))
        found = sorted(folder.glob(f"{source.removeprefix('bundled:')}_*.txt"))
        if not found:
            raise TextError(f"there is no text {source}; ekle brings bundled:tr and bundled:en")
        return found
    path = Path(source)
    if path.is_dir():
        found = sorted(item for item in path.rglob("*") if item.name.endswith(_SUFFIXES) and item.is_file())
        if not found:
            raise TextError(f"{source} holds no text: no file in it ends in {', '.join(_SUFFIXES)}")
        return found
    if not path.exists():
        raise TextError(f"there is no file or folder {source}")
    return [path]


def _texts(path: Path, text_field: str) -> Iterator[str]:
    if path.name.endswith(".parquet"):
        yield from _parquet(path, text_field)
    elif path.name.endswith((".jsonl", ".jsonl.zst")):
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                yield _field(_json(line, path, number), text_field, f"{path}, line {number}")
    else:
        yield from _lines(path)


def _lines(path: Path) -> Iterator[str]:
    position = 0
    with _open(path) as lines:
        for line in lines:
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                where = position + error.start
                raise TextError(
                    f"{path} is not UTF-8 at byte {where:,}; convert it, for example with iconv"
                ) from error
            position += len(line)
            yield text


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".zst":
        return cast(BinaryIO, io.BufferedReader(zstandard.open(path, "rb"), 1 << 20))
    return path.open("rb", buffering=1 << 20)


def _json(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise TextError(f"{path}, line {number} is not JSON: {error.msg}") from error


def _field(row: Any, text_field: str, where: str) -> str:
    text = row.get(text_field) if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise TextError(
            f"{where} has no text in {text_field!r}; name the field with --set corpus.text_field=NAME"
        )
    return text


def _parquet(path: Path, text_field: str) -> Iterator[str]:
    file = parquet.ParquetFile(path)
    if text_field not in file.schema_arrow.names:
        raise TextError(f"{path} has no column {text_field!r}; name it with --set corpus.text_field=NAME")
    for batch in file.iter_batches(columns=[text_field]):
        yield from (text for text in batch.column(0).to_pylist() if text)


def _hub(source: str, text_field: str) -> Iterator[tuple[str, str]]:
    from datasets import load_dataset  # a slow import that most runs never need

    name, _, config = source.removeprefix("hf:").partition(":")
    try:
        rows = load_dataset(name, config or None, split="train", streaming=True)
        for number, row in enumerate(rows):
            yield _field(row, text_field, f"{source}, row {number}"), name
    except (OSError, ValueError) as error:
        raise TextError(f"the hub did not give {source}: {type(error).__name__}: {error}") from error
