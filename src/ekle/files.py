"""Files and folders: written whole or not at all, read, digested and named."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ekle.errors import InputError, RunFolderError, SpaceError

JSON_ESCAPES = "backslashreplace"
"""How JSON is encoded: a byte of a file's name that is not UTF-8 becomes `\\udcNN`, an escape of JSON."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it replaces `path`, on failure it is removed.

    Raises:
        SpaceError: the disk is full; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise_if_full(error, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty sibling folder that becomes `folder` on success and vanishes on failure.

    Raises:
        RunFolderError: `folder` exists already.
        SpaceError: the disk is full; nothing is left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(f"{folder} exists and is not empty; remove it or name another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        yield temporary
        if folder.exists():
            folder.rmdir()
        temporary.replace(folder)
    except OSError as error:
        raise_if_full(error, folder)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def flush(folder: Path) -> None:
    """Wait until every file below `folder` is on the disk, where not even a power cut can take it.

    Some mounted drives cannot say that; there, the call returns at once.
    """
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(handle)


def raise_if_full(error: OSError, path: Path) -> None:
    """Turn "no space left on device" into a SpaceError that names `path`; other errors pass."""
    if error.errno == errno.ENOSPC:
        raise SpaceError(
            f"no space left on the disk while writing {path}; free some and run again"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable UTF-8 JSON, whole or not at all."""
    with atomic_file(path) as temporary:
        text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        temporary.write_text(text, encoding="utf-8", errors=JSON_ESCAPES)


def read_json(path: Path) -> Any:
    """Read UTF-8 JSON.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except (ValueError, RecursionError) as error:  # also of a number that is too long, or lists in lists
        raise InputError(f"{path} is not valid JSON: {error}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Read UTF-8 JSON that is an object.

    Raises:
        InputError: the file is missing, is not JSON, or holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(
            f"{path} holds a JSON {type(value).__name__} where an object is wanted; fetch it again"
        )
    return value


def digest(path: Path) -> str:
    """SHA-256 of a file, or of every file below a folder with its relative name, in hex."""
    if path.is_dir():
        total = hashlib.sha256()
        for file in sorted(item for item in path.rglob("*") if item.is_file()):
            total.update(os.fsencode(file.relative_to(path).as_posix()))
            total.update(digest(file).encode())
        return total.hexdigest()
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@cache
def read_table(package: str, name: str) -> tuple[dict[str, str], ...]:
    """The rows of `data/<name>.tsv` in the package `package`, as column name to value.

    The columns are separated by tabs, `#` starts a comment line, and the first other line names the columns.
    """
    text = (resources.files(package) / "data" / f"{name}.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    columns = lines[0].split("\t")
    return tuple(dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:])


_COMPRESSED = re.compile(r"(?<=.)\.(?:gz|zst|bz2|xz)\Z", re.IGNORECASE)


def stem(path: Path) -> str:
    """The name of a file without its ending, that of a compression not counted: "wiki" for wiki.jsonl.zst.

    Only files have endings: the name of a folder or a hub id such as Qwen/Qwen3-0.6B is left as it is. A data
    set `hf:owner/news:tr` is called "news", without its owner and its configuration. Bytes of a name that are
    not UTF-8 become U+FFFD, because reports and other files are called after it.
    """
    name = os.fsencode(path.name or str(path)).decode("utf-8", "replace")
    if str(path).startswith("hf:"):
        return str(path).removeprefix("hf:").partition(":")[0].rpartition("/")[2] or name
    if not path.is_file():
        return name
    return _COMPRESSED.sub("", name).rsplit(".", 1)[0] or name


def short_names(paths: Sequence[str | Path], taken: Collection[str] = ()) -> list[str]:
    """A name for each of `paths`, to report it by.

    It is the `stem`, with a number from 2 on where an earlier path or `taken` has that name already.
    """
    names: list[str] = []
    used, numbers = set(taken), Counter[str]()
    for path in paths:
        name = first = stem(Path(path))
        while name in used:
            numbers[first] = max(numbers[first], 1) + 1
            name = f"{first}-{numbers[first]}"
        used.add(name)
        names.append(name)
    return names
