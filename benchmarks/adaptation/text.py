"""The text of the laboratory, read from a folder of plain text and parted into documents.

The folder holds `tr/train.txt`, `tr/dev_*.txt` and `other/en.txt`, a paragraph or sentence a line. Turkish
for the bases and Turkish for the arms are different parts of the first; what is measured on comes from the
second, and from the end of the third, which nobody learns from.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import read_documents
from ekle.errors import InputError
from ekle.files import whole_folder

from .sizes import Size

_GENRES = ("wiki", "qa", "spoken", "legal", "review", "ud")
_DOCUMENT = 1_000
_SHORT = 500  # bytes of a held-out document, so that it fits one window


@dataclass(frozen=True)
class Text:
    """Files of documents, JSON lines with a `text`."""

    folder: Path

    @property
    def base_turkish(self) -> Path:
        """Turkish that the bases learn from."""
        return self.folder / "base-turkish.jsonl"

    @property
    def arm_turkish(self) -> Path:
        """Turkish that tokens are learned from and arms are trained on."""
        return self.folder / "arm-turkish.jsonl"

    @property
    def english(self) -> Path:
        """English, for bases and as replay."""
        return self.folder / "english.jsonl"

    def held_out(self, language: str) -> list[str]:
        """Documents to measure on, in `turkish` or `english`."""
        return list(read_documents(self.folder / f"held-out-{language}.jsonl"))


def prepare_text(data: Path, size: Size, folder: Path) -> Text:
    """Write the files into `folder`, unless they are there.

    Raises:
        InputError: a file of the data is missing.
    """
    if not folder.exists():
        train, english = data / "tr" / "train.txt", data / "other" / "en.txt"
        held_out = [data / "tr" / f"dev_{genre}.txt" for genre in _GENRES]
        for path in (train, english, *held_out):
            if not path.is_file():
                raise InputError(
                    f"there is no {path}; --data needs tr/train.txt, tr/dev_*.txt and other/en.txt"
                )
        with whole_folder(folder) as made:
            _write(Text(made), train, english, held_out, size)
    return Text(folder)


def _write(text: Text, train: Path, english: Path, held_out: list[Path], size: Size) -> None:
    documents = list(_documents(train, _DOCUMENT))
    # Spread over the whole file, because it holds one source after the other.
    step = max(1, train.stat().st_size // (size.base_text + size.arm_text))
    chosen = documents[::step]
    share = size.base_text / (size.base_text + size.arm_text)
    for_bases = [int(place * share) != int((place + 1) * share) for place in range(len(chosen))]
    _save(text.base_turkish, [one for one, base in zip(chosen, for_bases, strict=True) if base])
    _save(text.arm_turkish, [one for one, base in zip(chosen, for_bases, strict=True) if not base])
    english_documents = list(_documents(english, _DOCUMENT))
    measured = max(1, 2 * size.held_out // _DOCUMENT)
    _save(text.english, english_documents[:-measured])
    tail = "\n".join(english_documents[-measured:]).splitlines()
    _save(text.folder / "held-out-english.jsonl", _up_to(_gathered(tail, _SHORT), size.held_out))
    genres = [_up_to(_documents(path, _SHORT), size.held_out // len(held_out)) for path in held_out]
    _save(text.folder / "held-out-turkish.jsonl", [one for genre in genres for one in genre])


def _documents(path: Path, least: int) -> Iterator[str]:
    with path.open(encoding="utf-8") as handle:
        yield from _gathered(handle, least)


def _gathered(lines: Iterator[str] | list[str], least: int) -> Iterator[str]:
    """Lines joined until a document has `least` bytes."""
    held: list[str] = []
    length = 0
    for line in lines:
        if stripped := line.strip():
            held.append(stripped)
            length += len(stripped.encode()) + 1
        if length >= least:
            yield "\n".join(held)
            held, length = [], 0
    if held:
        yield "\n".join(held)


def _up_to(documents: Iterator[str], size: int) -> list[str]:
    kept = []
    for one in documents:
        kept.append(one)
        size -= len(one.encode())
        if size <= 0:
            break
    return kept


def _save(path: Path, documents: list[str]) -> None:
    lines = (json.dumps({"text": one}, ensure_ascii=False) + "\n" for one in documents)
    path.write_text("".join(lines), encoding="utf-8")
