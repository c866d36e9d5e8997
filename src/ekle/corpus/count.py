"""Counting all sources of a recipe, word lists included; a repeated line counts a limited number of times."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ekle.bpe.base import BaseTokenizer
from ekle.corpus.language import check_turkish, turkish_share
from ekle.counting import Counts, count_documents
from ekle.counting.word_lists import count_word_list
from ekle.errors import InputError, TextError
from ekle.progress import ProgressReporter
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import PreTokenizationKind
from ekle.text.documents import Document, TextReader, local_files
from ekle.text.formats import format_of

_LEAST_LIST_WORDS = 10_000_000
_SMALL_TEXT = 1_000_000


@dataclass(frozen=True)
class SourceCounts:
    """Counts, and figures about the text from counting."""

    counts: Counts
    about: dict[str, Any]
    """`turkish_share`: share of Turkish words, None for too few words; `repeats`: lines left out."""


def count_sources(
    settings: CorpusSettings,
    base: BaseTokenizer,
    reporter: ProgressReporter,
    *,
    counted: Sequence[Path] = (),
    pre_tokenization: PreTokenizationKind = "base",
    keep: Callable[[Document], bool] = lambda document: True,
    any_language: bool = False,
) -> SourceCounts:
    """Count the text sources, then add the word lists at their weight.

    Args:
        settings: `sources`, `word_lists`, `spoken_weight`, `repeats`, `text_field`,
            `keep_misdecoded` and `max_bytes` are used.
        base: the tokenizer whose pre-tokenizer is used.
        counted: counts files of other text to add; with them `sources` may be empty.
        pre_tokenization: the kind of pre-tokens that the profile needs.
        keep: documents for which it returns false are read but not counted.
        any_language: whether text that is not Turkish is accepted.

    Raises:
        TextError: a source is absent or not UTF-8, the sources hold no text, or the text is not Turkish.
        InputError: counts files are unreadable, or were made with another tokenizer or for another profile.
    """
    texts = settings.sources
    size = sum(path.stat().st_size for path in local_files(texts) if format_of(path) == ("text", None))
    parts = [_load(path, base, pre_tokenization) for path in counted]
    repeats = RepeatFilter(settings.repeats)
    if texts or not parts:
        read = repeats.without_repeats(_texts(texts, settings, keep, reporter))
        parts.append(count_documents(read, base, reporter, size or None, pre_tokenization=pre_tokenization))
    share = turkish_share(Counts.add(parts).to_base().table)
    if not any_language:
        check_turkish(share)
    words = sum(part.words for part in parts)
    if not words:
        raise TextError(
            f"no text to learn from in {', '.join(settings.sources)}; word lists alone do not suffice"
        )
    for language in settings.word_lists:
        weight = settings.spoken_weight * words if words >= _SMALL_TEXT else _LEAST_LIST_WORDS
        if weight:
            parts.append(count_word_list(language, weight, base, pre_tokenization=pre_tokenization))
    return SourceCounts(Counts.add(parts), {"turkish_share": share, "repeats": repeats.summary()})


def _load(path: Path, base: BaseTokenizer, pre_tokenization: PreTokenizationKind) -> Counts:
    counts = Counts.load(path)
    if counts.base != base.fingerprint:
        raise InputError(
            f"{path} was counted with tokenizer {counts.base}, but {base.name} is {base.fingerprint}; "
            "count its text again with ekle count and this --base"
        )
    try:
        return counts.converted_to(pre_tokenization)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _texts(
    sources: Sequence[str],
    settings: CorpusSettings,
    keep: Callable[[Document], bool],
    reporter: ProgressReporter,
) -> Iterator[str]:
    reader = TextReader(reporter.say, settings.text_field, settings.keep_misdecoded)
    read = reader.documents(sources, turkish=True, max_bytes=settings.max_bytes)
    return (document.text for document in read if keep(document))


_CELLS = 1 << 24  # counters of one byte; 32 MB in all, whatever the size of the text
_SHORT = 5


@dataclass
class RepeatFilter:
    """Removes lines that have occurred `limit` times already.

    Lines of fewer than five words always pass: "Evet." is repeated because people say it, and a line so
    short can gain no more than a handful of tokens. Lines are counted in a count-min sketch (Cormode and
    Muthukrishnan 2005), so memory does not grow with the text; with ten million different lines, about one in
    ten million is taken for another.
    """

    limit: int
    bytes_seen: int = 0
    bytes_left_out: int = 0
    lines_left_out: int = 0
    _cells: tuple[bytearray, bytearray] = field(
        default_factory=lambda: (bytearray(_CELLS), bytearray(_CELLS))
    )

    def without_repeats(self, texts: Iterable[str]) -> Iterator[str]:
        """The texts without lines over the limit; a text of nothing else is left out."""
        if not self.limit:
            yield from texts
            return
        for text in texts:
            lines = text.split("\n")
            kept = [line for line in lines if self._passes(line)]
            if len(kept) == len(lines):
                yield text
            elif any(line.strip() for line in kept):
                yield "\n".join(kept)

    def summary(self) -> dict[str, float | int]:
        """How much was left out."""
        share = self.bytes_left_out / self.bytes_seen if self.bytes_seen else 0.0
        return {"limit": self.limit, "lines_left_out": self.lines_left_out, "share_left_out": share}

    def _passes(self, line: str) -> bool:
        raw = line.encode("utf-8")
        self.bytes_seen += len(raw)
        if line.count(" ") < _SHORT - 1:
            return True
        digest = int.from_bytes(blake2b(raw, digest_size=8).digest(), "big")
        one, other = digest % _CELLS, (digest >> 32) % _CELLS
        cells, others = self._cells
        if min(cells[one], others[other]) >= self.limit:
            self.bytes_left_out += len(raw)
            self.lines_left_out += 1
            return False
        cells[one] = min(cells[one] + 1, 255)
        others[other] = min(others[other] + 1, 255)
        return True
