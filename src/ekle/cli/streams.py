"""Standard output and standard error as a command finds them: of any code page, full, closed, or absent.

A character that the code page lacks is replaced and the command goes on. When nobody reads standard output
any more (`ekle ... | head -1`), the next line ends the command. What standard error does not take is dropped,
because there is nowhere to say so.
"""

import codecs
import errno
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_CLOSED = (errno.EPIPE, errno.EIO, errno.EBADF)  # a pipe without a reader, a terminal that hung up
_LOOK_ALIKES = {"−": "-", "…": ".", "·": "*", "→": ">", "×": "x", "≥": ">", "≤": "<"}
_REPLACE = "ekle.look_alike"


class OutputClosed(Exception):
    """Nobody reads standard output any more."""


@contextmanager
def standard_streams() -> Iterator[None]:
    """Inside, `sys.stdout` and `sys.stderr` take any text and are never None."""
    before = sys.stdout, sys.stderr
    output, errors = _Output(before[0] or _nowhere(1)), _Errors(before[1] or _nowhere(2))
    # Standard error escapes what its code page lacks, so that a name can be copied from a message.
    with _encoding_all(output, _REPLACE), _encoding_all(errors, "backslashreplace"):
        sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


class _Stream:
    """A text stream whose writes are watched; everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`; the number of characters is returned."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        """Let what is left in the buffer go nowhere; Python would complain of it again when it ends."""
        try:
            number = self._stream.fileno()
        except (OSError, ValueError):
            return  # a stream of Python alone, which nothing flushes at the end
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


class _Output(_Stream):
    """Standard output: what it does not take ends the command."""

    _closed = False

    def write(self, text: str) -> int:
        if self._closed:
            raise OutputClosed
        return super().write(text)

    def _failed(self, error: OSError) -> None:
        super()._failed(error)
        if error.errno in _CLOSED:
            self._closed = True
            raise OutputClosed from error
        raise OSError(error.errno, error.strerror, "standard output") from error


class _Errors(_Stream):
    """Standard error: what it does not take is dropped."""


def _nowhere(number: int) -> TextIO:
    """A stream for one that was closed before the start; its descriptor must not become that of a file."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    if descriptor != number:
        try:
            os.fstat(number)
        except OSError:
            os.dup2(descriptor, number)
    return os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)


@contextmanager
def _encoding_all(stream: _Stream, errors: str) -> Iterator[None]:
    """Inside, characters that the encoding of `stream` lacks are handled by `errors`."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:  # a notebook's stream takes any text
        yield
        return
    before = stream.errors
    reconfigure(errors=errors)
    try:
        yield
    finally:
        reconfigure(errors=before)


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    """The codec error handler: lines and marks as ASCII of the same width, anything else as ?."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        across, down = ("HORIZONTAL" in name, "VERTICAL" in name)
        return "-" if across and not down else "|" if down and not across else "+"
    if name.startswith("BRAILLE"):  # the spinner of a bar
        return "*"
    match unicodedata.category(character):
        case "Zs":
            return " "
        case "Pd":
            return "-"
        case _:
            return _LOOK_ALIKES.get(character, "?")


codecs.register_error(_REPLACE, _look_alike)
