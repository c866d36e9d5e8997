"""The text that is measured, in memory by name."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ekle.artifacts import Corpus, read_documents
from ekle.artifacts.evaluation_report import TextSize, other_name
from ekle.text.documents import TextReader


@dataclass(frozen=True)
class Texts:
    """Documents by name: `held_out` in the language to learn, a genre each; `other` should not change."""

    held_out: dict[str, list[str]]
    other: dict[str, list[str]]

    @property
    def all(self) -> dict[str, list[str]]:
        """Both kinds by unique names; see `other_name`."""
        return self.held_out | {other_name(name, self.held_out): text for name, text in self.other.items()}


def corpus_texts(corpus: Corpus) -> Texts:
    """The held-out and the other-language documents of a corpus; names without text are left out."""
    return Texts(_read(corpus.held_out), _read(corpus.other))


def file_texts(
    held_out: Mapping[str, Path],
    other: Mapping[str, Path],
    reader: TextReader | None = None,
    own: Collection[Path] = (),
) -> Texts:
    """The documents of files or folders.

    Args:
        held_out: by name, files in the language to learn.
        other: by name, files in other languages or code.
        reader: reads the files that the user names; a plain one if not given.
        own: files that ekle wrote, which have fields of their own.

    Raises:
        TextError: a file is absent, holds no text or is not UTF-8.
    """
    given, ours = reader or TextReader(), TextReader(keep_misdecoded=True)

    def read(files: Mapping[str, Path], *, turkish: bool) -> dict[str, list[str]]:
        return {
            name: [
                document.text
                for document in (ours if path in own else given).documents([str(path)], turkish=turkish)
            ]
            for name, path in files.items()
        }

    return Texts(read(held_out, turkish=True), read(other, turkish=False))


def describe_text(documents: Sequence[str]) -> TextSize:
    """How large a text is, and which it is."""
    total, size = hashlib.sha256(), 0
    for text in documents:
        encoded = text.encode()
        size += len(encoded)
        total.update(encoded + b"\xff")
    return TextSize(documents=len(documents), bytes=size, sha256=total.hexdigest())


def sample_documents(documents: Sequence[str], size: int, seed: int) -> list[str]:
    """A sample of documents of about `size` bytes that does not depend on their order in the file.

    Documents are sorted by a digest. So the sample is the same on every machine, and it changes little when
    documents are added. The last document is truncated to reach `size`; a smaller text is returned whole.
    """
    chosen: list[str] = []
    left = size
    for text in sorted(documents, key=lambda text: hashlib.blake2b(f"{seed} {text}".encode()).digest()):
        length = len(text.encode())
        if length > left:
            text = text.encode()[:left].decode(errors="ignore")
        if text.strip():
            chosen.append(text)
        left -= length
        if left <= 0:
            break
    return chosen


def _read(files: Mapping[str, Path]) -> dict[str, list[str]]:
    read = {name: list(read_documents(path)) for name, path in files.items()}
    return {name: texts for name, texts in read.items() if any(text.split() for text in texts)}
