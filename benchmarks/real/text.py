"""The text of the benchmark: what is learned from, and passages that nobody learns from."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.ablation.text import save_documents, up_to
from benchmarks.real.sizes import Lines, Size
from ekle.artifacts import Corpus, read_documents
from ekle.errors import InputError
from ekle.files import atomic_folder, digest, write_json

Purpose = Literal["validation", "test"]
"""What passages are for: to choose by, or to report."""
ENGLISH = "english"
"""The name of the English passages, next to the Turkish genres."""


@dataclass(frozen=True)
class Text:
    """Files that `prepare_text` wrote."""

    folder: Path
    genres: tuple[str, ...]

    @property
    def settle(self) -> Corpus:
        """What the base is settled on."""
        return Corpus(self.folder / "settle")

    @property
    def learn(self) -> Corpus:
        """What vocabularies, rules and trainings learn from; its held-out text is the validation text."""
        return Corpus(self.folder / "learn")

    def passages(self, purpose: Purpose, name: str) -> list[str]:
        """The passages of a genre, or of `ENGLISH`."""
        return list(read_documents(self.file(purpose, name)))

    def file(self, purpose: Purpose, name: str) -> Path:
        """Where they are."""
        return self.folder / purpose / f"{name}.jsonl"

    def digest(self, *parts: str) -> str:
        """Of the folders of that name."""
        return "-".join(digest(self.folder / part)[:16] for part in parts)


def prepare_text(data: Path, size: Size, folder: Path) -> Text:
    """Write the text into `folder`, unless it is there.

    Raises:
        InputError: a file of the data is missing, or too short for its line ranges.
    """
    ranges = size.ranges
    text = Text(folder, tuple(ranges.test))
    if folder.exists():
        return text
    train, english = data / "tr" / "train.txt", data / "other" / "en.txt"
    with atomic_folder(folder) as made:
        new = Text(made, text.genres)
        for purpose, by_genre, english_lines, limit in (
            ("validation", ranges.validation, ranges.validation_english, size.validation_bytes),
            ("test", ranges.test, ranges.test_english, size.test_bytes),
        ):
            (made / purpose).mkdir()
            sources = {genre: (data / "tr" / f"dev_{genre}.txt", lines) for genre, lines in by_genre.items()}
            for name, (path, lines) in {**sources, ENGLISH: (english, english_lines)}.items():
                found = up_to(passages(read_lines(path, lines), size.passage_bytes), limit)
                if not found:
                    raise InputError(f"{path} has too little text in the lines {lines}; see sizes.py")
                save_documents(made / purpose / f"{name}.jsonl", found)
        settle = ranges.settle_turkish
        _write_corpus(new.settle, new, read_lines(train, settle), read_lines(english, ranges.settle_english))
        rest = itertools.chain(read_lines(train, Lines(0, settle.first)), _after(train, settle))
        _write_corpus(new.learn, new, rest, read_lines(english, ranges.replay))
    return text


def passages(lines: Iterable[str], least: int) -> Iterator[str]:
    """Consecutive lines joined by newlines into passages of at least `least` bytes; a short rest is left."""
    held = ""
    for line in lines:
        held = f"{held}\n{line}" if held else line
        if len(held.encode()) >= least:
            yield held
            held = ""


def read_lines(path: Path, lines: Lines) -> Iterator[str]:
    """Those lines of a file, without the newline.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(
            f"there is no {path}; --data needs tr/train.txt, tr/dev_wiki.txt, tr/dev_review.txt, "
            "tr/dev_qa.txt and other/en.txt"
        )
    with path.open(encoding="utf-8") as handle:
        for line in itertools.islice(handle, lines.first, lines.stop):
            yield line.removesuffix("\n")


def _after(path: Path, lines: Lines) -> Iterator[str]:
    return read_lines(path, Lines(lines.stop)) if lines.stop is not None else iter(())


def _write_corpus(corpus: Corpus, text: Text, turkish: Iterator[str], english: Iterator[str]) -> None:
    """A corpus folder as training reads it, with the validation text held out."""
    (corpus.folder / "held-out").mkdir(parents=True)
    save_documents(corpus.train, [line for line in turkish if line.strip()])
    save_documents(corpus.replay, [line for line in english if line.strip()])
    for genre in text.genres:
        save_documents(corpus.folder / "held-out" / f"{genre}.jsonl", text.passages("validation", genre))
    write_json(corpus.folder / "corpus.json", {"text": "benchmarks.real"})
