"""Rows of files and of data sets of the hub, one at a time.

Nothing here holds more than a part of a file: a line, an item of a list, a batch of a Parquet file, the next
rows from the hub.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, assert_never

import pyarrow
import pyarrow.parquet as parquet
from pyarrow import ipc

from ekle.errors import TextError
from ekle.text.formats import Compression, format_of
from ekle.text.lines import LONGEST, text_lines, text_parts

_PARQUET_ROWS = 1024  # per batch; pyarrow's default is 65,536
_BETWEEN = re.compile(r"[\s,]*")
_DELIMITERS = (",", ";", "\t", "|")


class Place(NamedTuple):
    """Where a text stands, for messages."""

    source: Path | str
    unit: str
    number: int

    def __str__(self) -> str:
        return f"{self.source}, {self.unit} {self.number}"


Row = tuple[Any, Place]
"""What a row holds, a dictionary for most formats, and its place."""


def file_rows(path: Path, field: str | None = None) -> Iterator[Row]:
    """The rows of a file that has fields.

    Args:
        path: its ending says its format.
        field: the only field that is needed; None reads all.

    Raises:
        TextError: the format has no fields, the file has no `field`, or it cannot be read.
    """
    kind, compression = format_of(path)
    match kind:
        case "json_lines":
            return json_lines(path, compression)
        case "json":
            return json_items(path, compression)
        case "csv" | "tsv":
            return table_rows(path, compression, "," if kind == "csv" else "\t", field)
        case "parquet":
            return _parquet_rows(path, field)
        case "arrow":
            return _arrow_rows(path, field)
        case "text":
            raise TextError(
                f"{path} has no fields; give .jsonl, .json, .csv, .tsv, .parquet, .arrow or hf:NAME"
            )
        case _:
            assert_never(kind)


def json_lines(path: Path, compression: Compression | None = None) -> Iterator[Row]:
    """The content of each line of JSON lines; blank lines are none.

    Raises:
        TextError: a line is no JSON; and as `text_lines`.
    """
    for number, line in enumerate(text_lines(path, compression), start=1):
        if line.strip():
            place = Place(path, "line", number)
            yield _parsed(partial(json.loads, line), place), place


def json_items(path: Path, compression: Compression | None = None) -> Iterator[Row]:
    """The items of one JSON list, or JSON values one after the other, of a file of any size.

    Raises:
        TextError: it is no JSON, ends early, or an item is too long; and as `text_parts`.
    """
    parts = text_parts(path, compression)
    decode = json.JSONDecoder().raw_decode
    text, at, number, in_list = "", 0, 0, False
    while True:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if at == len(text):
            if (part := next(parts, None)) is None:
                break
            text, at = part, 0
            continue
        if not number and not in_list and text[at] == "[":
            in_list, at = True, at + 1
            continue
        place = Place(path, "item", number + 1)
        if in_list and text[at] == "]":
            if text[at + 1 :].strip() or any(part.strip() for part in parts):
                raise TextError(f"{path} goes on after its list; put all items into one list")
            return
        try:
            value, end = _parsed(partial(decode, text, at), place)
            whole = end < len(text) or not isinstance(value, int | float)  # a number may go on
        except TextError:
            whole = False
            if len(text) - at > LONGEST:
                raise
        if not whole:
            # Twice as much each time, so that a long item is not parsed again for each part of it.
            more, wanted = [text[at:]], 2 * (len(text) - at)
            while sum(map(len, more)) < wanted and (part := next(parts, None)) is not None:
                more.append(part)
            if len(more) > 1:
                text, at = "".join(more), 0
                continue
            value, end = _parsed(partial(decode, text, at), place)
        number, at = number + 1, end
        yield value, place
    if in_list:
        raise TextError(f"{path} ends in the middle of its list, after item {number}; it is not complete")


def _parsed(parse: Callable[[], Any], place: Place) -> Any:
    try:
        return parse()
    except RecursionError as error:
        raise TextError(f"{place} is nested too deep to be read; take it out") from error
    except ValueError as error:
        raise TextError(f"{place} is not JSON: {error}") from error


def table_rows(
    path: Path, compression: Compression | None, delimiter: str, field: str | None = None
) -> Iterator[Row]:
    """The rows of a table with a line of names at its top, as dictionaries.

    In `.csv` semicolons, tabs and bars may stand in place of commas, as the line of names says.

    Raises:
        TextError: there is no column `field`, quotes do not match, or a row has too many or too few columns;
            and as `text_lines`.
    """
    lines = text_lines(path, compression)
    head = next(lines, "")
    if delimiter == ",":
        delimiter = max(_DELIMITERS, key=lambda sign: (field in _columns(head, sign), head.count(sign)))
    csv.field_size_limit(LONGEST)
    rows = csv.reader(chain([head], lines), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(rows, [])]
        _check_field(path, names, field)
        for row in rows:
            place = Place(path, "line", rows.line_num)
            if not row:
                continue
            if len(row) != len(names):
                raise TextError(
                    f"{place} has {len(row)} columns where the line of names has {len(names)}; put a text "
                    "that holds a separator into quotes"
                )
            yield dict(zip(names, row, strict=True)), place
    except csv.Error as error:
        raise TextError(
            f"{path}, line {rows.line_num} is no row of a table: {error}; correct its quotes, or convert the "
            "file to .jsonl"
        ) from error


def _columns(head: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"') for name in head.split(delimiter)]


def _check_field(path: Path, names: Sequence[str], field: str | None) -> None:
    if field is not None and field not in names:
        has = ", ".join(repr(name) for name in names[:20]) or "none"
        raise TextError(
            f"{path} has no column {field!r} (it has {has}); name it with --set corpus.text_field=NAME"
        )


def _parquet_rows(path: Path, field: str | None) -> Iterator[Row]:
    try:
        file = parquet.ParquetFile(path)
        names = list(file.schema_arrow.names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise TextError(f"{path} is not a complete Parquet file: {_flat(error)}") from error
    _check_field(path, names, field)
    yield from _batch_rows(path, file.iter_batches(_PARQUET_ROWS, columns=None if field is None else [field]))


def _arrow_rows(path: Path, field: str | None) -> Iterator[Row]:
    """Both forms of Arrow: a stream, as the datasets library keeps it, and a file (Feather 2)."""
    try:
        with pyarrow.OSFile(str(path), "rb") as file:
            is_file = file.read(6) == b"ARROW1"
            file.seek(0)
            reader = ipc.open_file(file) if is_file else ipc.open_stream(file)
            names = list(reader.schema.names)
            _check_field(path, names, field)
            batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else iter(reader)
            if field is not None:
                batches = (batch.select([field]) for batch in batches)
            yield from _batch_rows(path, batches)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise TextError(f"{path} is not a complete Arrow file: {_flat(error)}") from error


def _batch_rows(path: Path, batches: Iterator[Any]) -> Iterator[Row]:
    """The rows of Arrow batches; a value that is no text, though its type says so, is named with its row."""
    number = 0
    try:
        for batch in batches:
            for start in range(0, batch.num_rows, _PARQUET_ROWS):
                part = batch.slice(start, _PARQUET_ROWS)
                try:
                    rows = part.to_pylist()
                except UnicodeDecodeError as error:
                    bad = next(at for at in range(part.num_rows) if not _readable(part.slice(at, 1)))
                    raise TextError(
                        f"{path}, row {number + bad + 1} is not UTF-8; write the file again from text that is"
                    ) from error
                for row in rows:
                    number += 1
                    yield row, Place(path, "row", number)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise TextError(f"{path} is damaged after row {number:,}: {_flat(error)}") from error


def _readable(part: Any) -> bool:
    try:
        part.to_pylist()
    except UnicodeDecodeError:
        return False
    return True


class HubSource(NamedTuple):
    """A data set of the hub, or a folder that the datasets library reads."""

    name: str
    config: str | None
    split: str


def hub_source(source: str) -> HubSource:
    """What `hf:NAME[:CONFIG[:SPLIT]]` means; CONFIG may be empty, and the split is `train` if not given.

    Raises:
        TextError: it has another form.
    """
    name, *rest = source.removeprefix("hf:").split(":", 2)  # the split may be train[:1000]
    if not name:
        raise TextError(
            f"{source} is no data set of the hub; write hf:NAME, hf:NAME:CONFIG or hf:NAME:CONFIG:SPLIT"
        )
    config = rest[0] if rest else ""
    split = rest[1] if len(rest) > 1 else ""
    return HubSource(name, config or None, split or "train")


def hub_rows(source: str) -> Iterator[Row]:
    """The rows of `hf:NAME[:CONFIG[:SPLIT]]` as they arrive.

    Raises:
        TextError: the hub has no such data set or cannot be reached, or the data set cannot be read.
    """
    from datasets import load_dataset  # a slow import that most runs never need

    name, config, split = hub_source(source)
    try:
        for number, row in enumerate(load_dataset(name, config, split=split, streaming=True)):
            yield row, Place(source, "row", number)
    except Exception as error:  # the library raises many unrelated types; each means "not to be had"
        cure = "check the name, the configuration and the split, as in hf:NAME:CONFIG:SPLIT"
        if isinstance(error, RuntimeError) and "script" in str(error):
            cure = "it is a script, which nothing runs; give its files instead (.parquet, .jsonl)"
        raise TextError(
            f"the hub did not give {source}: {type(error).__name__}: {_flat(error)}; {cure}"
        ) from error


def _flat(error: BaseException) -> str:
    return " ".join(str(error).split())
