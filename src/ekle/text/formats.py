"""Which format a file has, told by the end of its name alone, without regard to case.

What is not listed is read as running text if it is named itself (code, for `--other`), and left aside in a
folder.
"""

import re
import unicodedata
from pathlib import Path
from typing import Literal

from ekle.errors import TextError

Format = Literal["text", "json_lines", "json", "csv", "tsv", "parquet", "arrow"]

_ENDINGS: dict[Format, tuple[str, ...]] = {
    "text": ("txt",),
    "json_lines": ("jsonl", "ndjson"),
    "json": ("json",),
    "csv": ("csv",),
    "tsv": ("tsv",),
    "parquet": ("parquet",),
    "arrow": ("arrow", "feather"),
}
Compression = Literal["gz", "zst", "bz2", "xz"]
_COMPRESSIONS: tuple[Compression, ...] = ("gz", "zst", "bz2", "xz")
_WITHIN: tuple[Format, ...] = ("parquet", "arrow")  # these compress what is in them by themselves

_REFUSED = (
    (
        "is not read, because its marks would be learned as words; convert it, for example with pandoc -t "
        "plain, or rename it to .txt to have it read as it stands",
        ("md", "markdown", "rst", "html", "htm", "xhtml", "xml", "rtf", "tex", "ipynb"),
    ),
    (
        "is no plain text; save it as .txt",
        ("pdf", "doc", "docx", "odt", "epub", "xls", "xlsx", "ods", "ppt", "pptx"),
    ),
    (
        "is an archive; unpack it and give the folder",
        ("zip", "rar", "7z", "tar", r"tar\.(?:gz|zst|bz2|xz)", "tgz", "tbz", "tbz2", "txz"),
    ),
    (
        "is in a format that ekle does not read; convert it to .jsonl or .parquet",
        (
            "pkl",
            "pickle",
            "npy",
            "npz",
            "pt",
            "bin",
            "safetensors",
            "gguf",
            "h5",
            "db",
            "sqlite",
            "orc",
            "avro",
        ),
    ),
)
# Python's patterns take İ and ı for an i when case is ignored, as names in Turkish capitals need.
_COMPRESSED = re.compile(
    r"\.(?:" + "|".join(f"(?P<{name}>{name})" for name in _COMPRESSIONS) + r")\Z", re.IGNORECASE
)
_READ = re.compile(
    r"\.(?:"
    + "|".join(f"(?P<{name}>{'|'.join(endings)})" for name, endings in _ENDINGS.items())
    + rf")(?:{_COMPRESSED.pattern[:-2]})?\Z",
    re.IGNORECASE,
)
_NOT_READ = [(why, re.compile(rf"\.(?:{'|'.join(endings)})\Z", re.IGNORECASE)) for why, endings in _REFUSED]
# What the datasets library writes beside its rows; none of them holds a row.
_BESIDE_ROWS = re.compile(r"(?:dataset_infos?|dataset_dict|state)\.json", re.IGNORECASE)

READ = ", ".join(f".{ending}" for endings in _ENDINGS.values() for ending in endings)
"""The endings that are read, for messages; most of them also compressed."""


def format_of(path: Path) -> tuple[Format, Compression | None]:
    """The format of a file, and how it is compressed.

    Raises:
        TextError: its ending is one that is not read; the message says what to do.
    """
    name = unicodedata.normalize("NFC", path.name)
    for why, pattern in _NOT_READ:
        if pattern.search(name):
            raise TextError(f"{path} {why}")
    found = _READ.search(name)
    if found is None:
        if _COMPRESSED.search(name):
            raise TextError(
                f"{path} does not say what it holds; rename it so that the ending before the last one does, "
                f"as in .txt.gz (ekle reads {READ})"
            )
        return "text", None
    kind = next(name for name in _ENDINGS if found[name])
    compression = next((name for name in _COMPRESSIONS if found[name]), None)
    if compression and kind in _WITHIN:
        raise TextError(f"{path} is not read as it is; unpack it first")
    return kind, compression


def compression_of(path: Path) -> Compression | None:
    """How a file is compressed, whatever is in it."""
    found = _COMPRESSED.search(unicodedata.normalize("NFC", path.name))
    return next((name for name in _COMPRESSIONS if found and found[name]), None)


def has_ending(path: Path, ending: str) -> bool:
    """Whether a name ends in a dot and `ending`, without regard to case."""
    name = unicodedata.normalize("NFC", path.name)
    return re.search(rf"\.{re.escape(ending)}\Z", name, re.IGNORECASE) is not None


def is_listed(path: Path) -> bool:
    """Whether a file in a folder is read: it has the ending of a format that ekle reads."""
    try:
        format_of(path)
    except TextError:
        return False
    name = unicodedata.normalize("NFC", path.name)
    return _READ.search(name) is not None and not _BESIDE_ROWS.fullmatch(name)


def has_fields(path: Path) -> bool:
    """Whether the rows of a file have named fields; lines of text have none. Raises as `format_of`."""
    return format_of(path)[0] != "text"
