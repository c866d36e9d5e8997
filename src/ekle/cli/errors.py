"""From an exception to the one line that a user can act on."""

import errno
from collections.abc import Iterator

from ekle.errors import EkleError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
_NETWORK = ("httpx", "httpcore", "huggingface_hub", "requests", "urllib3", "aiohttp")


class Interrupted(Exception):
    """Ctrl-C during a command that can go on later; the message says how."""


def error_line(error: BaseException) -> str | None:
    """What to tell the user; None where the error is a defect of ekle and wants its traceback.

    A full disk, a folder that may not be written and a hub that does not answer are not ekle's
    mistakes either, wherever in a library they come up.
    """
    if isinstance(error, EkleError):
        return _flat(error)
    for cause in _chain(error):
        if _is_full_disk(cause):
            written = getattr(cause, "filename", None)
            place = f" while writing {written}" if written else ""
            return f"no space left on the disk{place}; free some and give the command again"
        if isinstance(cause, OSError) and cause.errno in _PLACE and cause.filename:
            return f"{cause.filename}: {cause.strerror}"
        if isinstance(cause, ConnectionError) or type(cause).__module__.partition(".")[0] in _NETWORK:
            return f"the hub or the network does not answer: {type(cause).__name__}: {_flat(cause)}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _is_full_disk(error: BaseException) -> bool:
    # safetensors passes the system's error on as text only.
    return getattr(error, "errno", None) in _FULL or "os error 28" in str(error)


def _flat(error: BaseException) -> str:
    return " ".join(str(error).split())
