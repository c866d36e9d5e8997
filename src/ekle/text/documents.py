"""Reading documents, one after the other, from the sources that a user names. All text is read here.

A `.txt` file holds one document per line, and so does a file of any other ending that ekle does not know;
`.jsonl` and `.ndjson` one JSON value per line; `.json` a list; `.csv` and `.tsv` a line of names and then
rows; `.parquet`, `.arrow` and `.feather` rows. All but the last three may be compressed (`.gz`, `.zst`,
`.bz2`, `.xz`). A folder is read recursively in the order of its file names. `hf:NAME[:CONFIG[:SPLIT]]`
streams a data set from the hub. `bundled:tr` and `bundled:en` are ekle's own text.

Nothing is left out in silence: a `TextReader` says once of each source how much of it is no text, and why.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ekle.errors import TextError
from ekle.files import stem
from ekle.text.formats import READ, format_of, has_fields, is_listed
from ekle.text.lines import LONGEST, text_lines
from ekle.text.misdecoded import leave_out
from ekle.text.rows import Place, Row, file_rows, hub_rows, hub_source


@dataclass(frozen=True, slots=True)
class Document:
    """A text, never empty."""

    text: str
    source: str
    """Name of the file or data set that has it."""
    entry: str
    """The source as the user named it."""


@dataclass(slots=True)
class _LeftOut:
    """What of a source is no text. Each kind has the place of its first case."""

    rows: int = 0
    empty: int = 0
    empty_at: Place | None = None
    cleaned: int = 0
    cleaned_at: Place | None = None
    characters: int = 0
    misdecoded: int = 0
    misdecoded_at: Place | None = None
    word: str = ""
    meant: str = ""


@dataclass(frozen=True)
class TextReader:
    """Reads text as a recipe's `[corpus]` says, and says once of each source what it left out."""

    say: Callable[[str], None] | None = None
    """Gets each line that the user should see; None says nothing."""
    text_field: str = "text"
    """Field (JSON) or column (tables, Parquet, Arrow, hub) that holds the text."""
    keep_misdecoded: bool = False
    """Whether Turkish that was decoded in a wrong way is read as it stands."""
    _said: set[str] = field(default_factory=set)

    def documents(
        self, sources: Sequence[str], *, turkish: bool = False, max_bytes: int | None = None
    ) -> Iterator[Document]:
        """The documents of `sources` in order, without blank ones, NUL, byte order marks and halves of
        surrogate pairs.

        Args:
            sources: files, folders, `hf:NAME[:CONFIG[:SPLIT]]`, `bundled:tr`, `bundled:en`.
            turkish: whether the text is Turkish. Then lines with words that were decoded in a wrong way are
                left out, of long lines sentences.
            max_bytes: stop after this many bytes of UTF-8 text.

        Raises:
            TextError: a source is absent, holds no text file, is not UTF-8 (file, byte and line are named),
                is nothing but Turkish that was decoded in a wrong way, or lacks the text field.
        """
        read = 0
        for source in sources:
            left_out, found = _LeftOut(), 0
            try:
                for raw, place, name in self._source(source, left_out):
                    text = self._cleaned(raw, place, left_out, turkish=turkish).strip("\r\n")
                    if not text or text.isspace():
                        continue
                    found += 1
                    yield Document(text, name, source)
                    if max_bytes is not None:
                        read += len(text.encode("utf-8"))
                        if read >= max_bytes:
                            return
            finally:
                if found or not left_out.misdecoded:
                    self._tell(source, left_out)
            if not found and left_out.misdecoded:
                raise TextError(
                    f"all of {source} is {_example(left_out)}; decode it again from the original, or read "
                    "it as it stands with --set corpus.keep_misdecoded=true"
                )

    def _source(self, source: str, left_out: _LeftOut) -> Iterator[tuple[str, Place, str]]:
        """Each text of a source, its place, and the name of its file or data set."""
        if source.startswith("hf:"):
            name = stem(Path(source))
            yield from ((text, place, name) for text, place in self._texts(hub_rows(source), left_out))
            return
        files, aside = _listed(source)
        if aside:
            endings = sorted({path.suffix or path.name for path in aside})
            shown = ", ".join(endings[:8]) + (" and others" if len(endings) > 8 else "")
            self._say_once(
                f"{source}: {len(aside):,} files are left aside, because their endings are none that ekle "
                f"reads in a folder ({shown}; the first is {aside[0]})"
            )
        for path in files:
            name = stem(path)
            kind, compression = format_of(path)
            if kind == "text":
                for number, line in enumerate(text_lines(path, compression), start=1):
                    yield line, Place(path, "line", number), name
            else:
                for text, place in self._texts(file_rows(path, self.text_field), left_out):
                    yield text, place, name

    def _texts(self, rows: Iterable[Row], left_out: _LeftOut) -> Iterator[tuple[str, Place]]:
        """The text of each row that has some; the others are counted."""
        for row, place in rows:
            left_out.rows += 1
            text = row.get(self.text_field, row) if isinstance(row, dict) else row
            if text is None or (isinstance(text, str) and (not text or text.isspace())):
                left_out.empty += 1
                left_out.empty_at = left_out.empty_at or place
                continue
            if not isinstance(text, str):
                has = f" but {text!r:.40}" if text is not row else f" (it has {_shown_fields(row)})"
                raise TextError(
                    f"{place} has no text in {self.text_field!r}{has}; name the field with --set "
                    "corpus.text_field=NAME"
                )
            if len(text) > LONGEST:
                raise TextError(
                    f"{place} is a text of more than {LONGEST >> 20} MiB; divide it into several rows"
                )
            yield text, place

    def _cleaned(self, raw: str, place: Place, left_out: _LeftOut, *, turkish: bool) -> str:
        text = clean(raw)
        if len(text) < len(raw) and len(text) < len(raw.replace("\ufeff", "")):
            left_out.cleaned += 1
            left_out.cleaned_at = left_out.cleaned_at or place
        if not turkish or self.keep_misdecoded:
            return text
        left_out.characters += len(text)
        text, found = leave_out(text)
        if found is not None:
            left_out.misdecoded += found.characters
            if left_out.misdecoded_at is None:
                left_out.misdecoded_at, left_out.word, left_out.meant = place, found.word, found.meant
        return text

    def _tell(self, source: str, left_out: _LeftOut) -> None:
        if left_out.empty:
            self._say_once(
                f"{source}: {left_out.empty:,} of {left_out.rows:,} rows have no text in {self.text_field!r} "
                f"and are left out (the first is {left_out.empty_at})"
            )
        if left_out.cleaned:
            self._say_once(
                f"{source}: {left_out.cleaned:,} texts held NUL or halves of characters, which are taken out "
                f"(the first is {left_out.cleaned_at})"
            )
        if left_out.misdecoded:
            share = left_out.misdecoded / left_out.characters
            self._say_once(
                f"{source}: {share:.2%} of the text is {_example(left_out)}; its lines are left out "
                "(--set corpus.keep_misdecoded=true reads them)"
            )

    def _say_once(self, line: str) -> None:
        if self.say is not None and line not in self._said:
            self._said.add(line)
            self.say(line)


def _example(left_out: _LeftOut) -> str:
    word = f"{left_out.word[:60]!r}" + (f" for {left_out.meant[:60]!r}" if left_out.meant else "")
    return f"Turkish that was decoded in a wrong way, such as {word} ({left_out.misdecoded_at})"


def _shown_fields(row: Any) -> str:
    return ", ".join(repr(name) for name in list(row)[:20]) if isinstance(row, dict) else f"{row!r:.40}"


def documents(
    sources: Sequence[str], *, text_field: str = "text", max_bytes: int | None = None
) -> Iterator[Document]:
    """What a `TextReader` of `text_field` gives for `sources` in any language; it says nothing."""
    return TextReader(text_field=text_field).documents(sources, max_bytes=max_bytes)


def clean(text: str) -> str:
    """The text without NUL, byte order marks, and halves of surrogate pairs, which JSON can hold and UTF-8
    cannot."""
    if text.isascii() and "\x00" not in text:
        return text
    text = text.replace("\x00", "").replace("\ufeff", "")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "ignore").decode("utf-8")
    return text


def check_sources(sources: Sequence[str]) -> None:
    """Raise TextError for the first source that is absent or in a format that is not read, without reading
    any; the hub is not asked."""
    for source in sources:
        if source.startswith("hf:"):
            hub_source(source)
        else:
            local_files([source])


def local_files(sources: Sequence[str]) -> list[Path]:
    """The local files that `sources` name. Raises TextError as `check_sources`."""
    return [path for source in sources if not source.startswith("hf:") for path in _listed(source)[0]]


def records(source: str) -> Iterator[tuple[Any, str, str]]:
    """Each row of a source with fields: the row, its place for messages, and the name of its file or data
    set.

    Raises:
        TextError: the source is absent or cannot be read, or it is plain text, which has no fields.
    """
    if source.startswith("hf:"):
        yield from ((row, str(place), stem(Path(source))) for row, place in hub_rows(source))
        return
    for path in _listed(source)[0]:
        yield from ((row, str(place), stem(path)) for row, place in file_rows(path))


def has_rows(source: str) -> bool:
    """Whether `records` reads a source: a data set of the hub, or a file whose rows have fields."""
    return source.startswith("hf:") or has_fields(Path(source))


def _listed(source: str) -> tuple[list[Path], list[Path]]:
    """The files of a source, and of a folder those that are left aside; hidden ones are in neither."""
    if source.startswith("bundled:"):
        folder = Path(str(resources.files("ekle.text") / "data"))
        found = sorted(folder.glob(f"{source.removeprefix('bundled:')}_*.txt"))
        if not found:
            raise TextError(f"there is no text {source}; ekle brings bundled:tr and bundled:en")
        return found, []
    path = Path(source)
    if path.is_dir():
        visible = sorted(
            item for item in path.rglob("*") if _is_visible(item.relative_to(path)) and item.is_file()
        )
        read: list[Path] = []
        aside: list[Path] = []
        for item in visible:
            (read if is_listed(item) else aside).append(item)
        if not read:
            raise TextError(f"{source} holds no text: no file in it ends in {READ}, compressed or not")
        return read, aside
    if not path.exists():
        raise TextError(f"there is no file or folder {source}")
    format_of(path)
    return [path], []


def _is_visible(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def passages(text: str, longest: int) -> Iterator[str]:
    """The text in parts of at most `longest` characters, which begin at a space where there is one."""
    start = 0
    while start < len(text):
        stop = min(start + longest, len(text))
        if stop < len(text):
            space = text.rfind(" ", start + 1, stop)
            stop = space if space > start else stop
        yield text[start:stop]
        start = stop
