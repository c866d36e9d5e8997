"""Reading documents, one after the other, from the sources that a user names.

A `.txt` file holds one document per line; `.jsonl` and `.jsonl.zst` one JSON object per line; `.parquet` one
document per row. A folder is read recursively in the order of its file names. `hf:NAME[:CONFIG]` streams
the train split of a data set from the hub. `bundled:tr` and `bundled:en` are ekle's own text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ekle.errors import TextError
from ekle.files import stem
from ekle.text.formats import (
    JSON_LINES,
    PARQUET,
    hub_rows,
    json_rows,
    parquet_columns,
    parquet_rows,
    text_lines,
)

_SUFFIXES = (".txt", *JSON_LINES, PARQUET)


@dataclass(frozen=True, slots=True)
class Document:
    """A text, never empty."""

    text: str
    source: str
    """Name of the file or data set that has it."""
    entry: str
    """The source as the user named it."""


def documents(
    sources: Sequence[str], *, text_field: str = "text", max_bytes: int | None = None
) -> Iterator[Document]:
    """The documents of `sources` in order, without blank ones, NUL and halves of surrogate pairs.

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
            text = clean(raw).strip("\r\n")
            if not text or text.isspace():
                continue
            yield Document(text, name, source)
            if max_bytes is not None:
                read += len(text.encode("utf-8"))
                if read >= max_bytes:
                    return


def clean(text: str) -> str:
    """The text without NUL and without halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    text = text.replace("\x00", "")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "ignore").decode("utf-8")
    return text


def check_sources(sources: Sequence[str]) -> None:
    """Raise TextError for the first source that is absent, without reading any; hub ids are not checked."""
    for source in sources:
        if not source.startswith("hf:"):
            list(_files(source))


def local_files(sources: Sequence[str]) -> list[Path]:
    """The local files that `sources` name."""
    return [path for source in sources if not source.startswith("hf:") for path in _files(source)]


def records(source: str) -> Iterator[tuple[Any, str, str]]:
    """Each row of JSON lines, Parquet or the hub: the row, its place for messages, and the name of its file
    or data set.

    Raises:
        TextError: the source is absent or cannot be read, or it is plain text, which has no fields.
    """
    if source.startswith("hf:"):
        name = _hub_name(source)
        yield from ((row, where, name) for row, where in hub_rows(source))
        return
    for path in _files(source):
        if path.name.endswith(PARQUET):
            found: Iterator[tuple[Any, str]] = parquet_rows(path, parquet_columns(path))
        elif path.name.endswith(JSON_LINES):
            found = json_rows(path)
        else:
            raise TextError(f"{path} has no fields; give {', '.join((*JSON_LINES, PARQUET))} or hf:NAME")
        yield from ((row, where, stem(path)) for row, where in found)


def _source(source: str, text_field: str) -> Iterator[tuple[str, str]]:
    """Each text of a source, and the name of its file or data set."""
    if source.startswith("hf:"):
        for row, where in hub_rows(source):
            yield _field(row, text_field, where), _hub_name(source)
        return
    for path in _files(source):
        name = stem(path)
        for text in _texts(path, text_field):
            yield text, name


def _hub_name(source: str) -> str:
    """The data set's name without its owner, because files are named after it."""
    return source.removeprefix("hf:").partition(":")[0].rpartition("/")[2]


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
    if path.name.endswith(PARQUET):
        if text_field not in parquet_columns(path):
            raise TextError(f"{path} has no column {text_field!r}; name it with --set corpus.text_field=NAME")
        for row, where in parquet_rows(path, [text_field]):
            if row[text_field] is not None:  # null: the row has no text
                yield _field(row, text_field, where)
    elif path.name.endswith(JSON_LINES):
        for row, where in json_rows(path):
            yield _field(row, text_field, where)
    else:
        yield from text_lines(path)


def _field(row: Any, text_field: str, where: str) -> str:
    text = row.get(text_field) if isinstance(row, dict) else None
    if not isinstance(text, str):
        found = f" but {text!r:.40}" if isinstance(row, dict) and text_field in row else ""
        raise TextError(
            f"{where} has no text in {text_field!r}{found}; name the field with --set corpus.text_field=NAME"
        )
    return text


def passages(text: str, longest: int) -> Iterator[str]:
    """The text in parts of at most `longest` characters, which begin at a space where there is one."""
    start = 0
    while start < len(text):
        stop = min(start + longest, len(text))
        if stop < len(text):
            space = text.rfind(" ", start + 1, stop)
            stop = space if space > start else stop
        yield text[start:stop]
        start = stop
