"""The lines of a UTF-8 file, compressed or not, one at a time.

Only a line feed ends a line: U+2028, U+0085 and the like are characters of it.
"""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, assert_never

import zstandard

from ekle.errors import TextError
from ekle.text.formats import Compression, compression_of

LONGEST = 16 << 20
"""Bytes of the longest line, and characters of the longest text of a row; what is longer is refused, because
it would have to be in memory several times over."""

_BUFFER = 1 << 20
_MARK = "\ufeff"  # byte order mark; files that were put together have some inside
_DAMAGE = (zstandard.ZstdError, zlib.error, EOFError, lzma.LZMAError, OSError)


def text_lines(path: Path, compression: Compression | None = None) -> Iterator[str]:
    """The lines of a UTF-8 file with their line ends, without byte order marks at their beginning.

    Raises:
        TextError: it is not UTF-8 (file, byte and line are named), is damaged, or a line is too long.
    """
    position = number = 0
    with _read_errors(path) as place, _open(path, compression) as lines:
        while line := lines.readline(LONGEST + 1):
            number += 1
            place[:] = position, number
            if len(line) > LONGEST:
                raise TextError(
                    f"{path}, line {number} is longer than {LONGEST >> 20} MiB; a document is one line, so "
                    "put line ends between the documents"
                )
            if number == 1:
                _check_encoding(path, line)
            text = line.decode("utf-8")
            position += len(line)
            yield text.lstrip(_MARK) if text.startswith(_MARK) else text


def file_lines(path: Path) -> Iterator[str]:
    """The lines of a file of any ending but that of a compression; see `text_lines`."""
    return text_lines(path, compression_of(path))


def text_parts(path: Path, compression: Compression | None = None) -> Iterator[str]:
    """The content of a UTF-8 file in parts of about a megabyte, without a byte order mark before it.

    Raises:
        TextError: as `text_lines`, lines of any length allowed.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    with _read_errors(path) as place, _open(path, compression) as parts:
        while part := parts.read(_BUFFER):
            place[:] = position, 0
            if not position:
                _check_encoding(path, part)
            text = decoder.decode(part)
            yield text.lstrip(_MARK) if not position else text
            position += len(part)
        decoder.decode(b"", final=True)


@contextmanager
def _read_errors(path: Path) -> Iterator[list[int]]:
    """Turn what goes wrong while `path` is read into a TextError; the list holds byte and line."""
    place = [0, 0]
    try:
        yield place
    except UnicodeDecodeError as error:
        line = f" (line {place[1]:,})" if place[1] else ""
        raise TextError(
            f"{path} is not UTF-8 at byte {place[0] + error.start:,}{line}; convert it, for example with "
            "iconv -f WINDOWS-1254 -t UTF-8"
        ) from error
    except FileNotFoundError as error:
        raise TextError(f"there is no file {path}") from error
    except _DAMAGE as error:
        said = getattr(error, "strerror", None) or error
        raise TextError(f"{path} cannot be read after byte {place[0]:,} of its text: {said}") from error


def _check_encoding(path: Path, begin: bytes) -> None:
    """Refuse text of two bytes a letter, which is UTF-8 full of NUL where its letters are English ones."""
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 4 * begin.count(0) > len(begin) > 1:
        raise TextError(f"{path} is UTF-16 or no text; convert it, for example with iconv -f UTF-16 -t UTF-8")


def _open(path: Path, compression: Compression | None) -> BinaryIO:
    opened: Any
    match compression:
        case None:
            return io.BufferedReader(io.FileIO(path), _BUFFER)
        case "gz":
            opened = gzip.GzipFile(path, "rb")
        case "bz2":
            opened = bz2.BZ2File(path, "rb")
        case "xz":
            opened = lzma.LZMAFile(path, "rb")  # noqa: SIM115, the reader around it closes it
        case "zst":
            opened = _Zstandard(path)
        case _:
            assert_never(compression)
    return io.BufferedReader(opened, _BUFFER)


class _Zstandard(io.RawIOBase):
    """All frames of a zstandard file; unlike the library's own reader it notices that the last one is cut."""

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path)
        self._frame = self._next_frame()
        self._begun = False
        self._packed = self._text = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._text:
            if self._frame.eof:
                self._packed, self._begun = self._frame.unused_data, False
                self._frame = self._next_frame()
            packed = self._packed or self._file.read(_BUFFER)
            self._packed = b""
            if not packed:
                if self._begun:
                    raise EOFError("the end is missing")
                return 0
            self._begun = True
            self._text = self._frame.decompress(packed)
        size = min(len(buffer), len(self._text))
        buffer[:size], self._text = self._text[:size], self._text[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()

    @staticmethod
    def _next_frame() -> Any:
        return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends; unlike for `str.splitlines`, U+2028 and the like end none."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]
