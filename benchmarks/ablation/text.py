"""The text of the ablations, as documents: for the bases, for the variants, and held out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.ablation.sizes import SharedSettings
from ekle.artifacts import read_documents
from ekle.errors import InputError
from ekle.files import atomic_folder


def documents_in(path: Path, least: int) -> Iterator[str]:
    """The lines of a text file in documents of at least `least` bytes; the last one may be shorter."""
    with path.open(encoding="utf-8") as handle:
        yield from gathered(handle, least)


def gathered(lines: Iterator[str], least: int) -> Iterator[str]:
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


def up_to(documents: Iterator[str], size: int) -> list[str]:
    """The next documents, until they have `size` bytes together."""
    kept = []
    for one in documents:
        kept.append(one)
        size -= len(one.encode())
        if size <= 0:
            break
    return kept


def save_documents(path: Path, documents: list[str]) -> None:
    """Write them as JSON lines with a `text`."""
    lines = (json.dumps({"text": one}, ensure_ascii=False) + "\n" for one in documents)
    path.write_text("".join(lines), encoding="utf-8")


Purpose = Literal["validation", "test"]
"""What a held-out text is for: to choose by, or to report."""
Language = Literal["turkish", "english"]

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
    def variant_turkish(self) -> Path:
        """Turkish that tokens are learned from and variants are trained on."""
        return self.folder / "variant-turkish.jsonl"

    @property
    def english(self) -> Path:
        """English, for bases and as replay."""
        return self.folder / "english.jsonl"

    def held_out(self, language: Language, purpose: Purpose) -> list[str]:
        """Documents to measure on."""
        return list(read_documents(self._held_out(language, purpose)))

    def save_held_out(self, language: Language, purpose: Purpose, documents: list[str]) -> None:
        """Keep them."""
        save_documents(self._held_out(language, purpose), documents)

    def _held_out(self, language: Language, purpose: Purpose) -> Path:
        return self.folder / f"{purpose}-{language}.jsonl"


def prepare_text(data: Path, shared: SharedSettings, folder: Path) -> Text:
    """Write the files into `folder`, unless they are there.

    Raises:
        InputError: a file of the data is missing.
    """
    if not folder.exists():
        train, english = data / "tr" / "train.txt", data / "other" / "en.txt"
        for path in (train, english, *_held_out_files(data)):
            if not path.is_file():
                raise InputError(
                    f"there is no {path}; --data needs tr/train.txt, tr/dev_*.txt and other/en.txt"
                )
        with atomic_folder(folder) as made:
            _write(Text(made), train, english, held_out_turkish(data), shared)
    return Text(folder)


def held_out_turkish(data: Path) -> list[Iterator[str]]:
    """For each genre the documents that nobody learns from, in their order."""
    return [documents_in(path, _SHORT) for path in _held_out_files(data)]


def _held_out_files(data: Path) -> list[Path]:
    return [data / "tr" / f"dev_{genre}.txt" for genre in _GENRES]


def _write(
    text: Text, train: Path, english: Path, held_out: list[Iterator[str]], shared: SharedSettings
) -> None:
    documents = list(documents_in(train, _DOCUMENT))
    # From the whole file, because it holds one source after the other.
    step = max(1, train.stat().st_size // (shared.base_text + shared.variant_text))
    chosen = documents[::step]
    share = shared.base_text / (shared.base_text + shared.variant_text)
    for_bases = [int(place * share) != int((place + 1) * share) for place in range(len(chosen))]
    save_documents(text.base_turkish, [one for one, base in zip(chosen, for_bases, strict=True) if base])
    save_documents(
        text.variant_turkish, [one for one, base in zip(chosen, for_bases, strict=True) if not base]
    )
    english_documents = list(documents_in(english, _DOCUMENT))
    measured = max(1, 2 * shared.validation_bytes // _DOCUMENT)
    save_documents(text.english, english_documents[:-measured])
    tail = "\n".join(english_documents[-measured:]).splitlines()
    sources: dict[Language, list[Iterator[str]]] = {
        "turkish": held_out,
        "english": [gathered(iter(tail), _SHORT)],
    }
    purposes: dict[Purpose, int] = {"validation": shared.validation_bytes, "test": shared.test_bytes}
    for language, parts in sources.items():
        for purpose, size in purposes.items():  # each starts where the one before stopped
            taken = [up_to(part, size // len(parts)) for part in parts]
            text.save_held_out(language, purpose, [one for part in taken for one in part])
