"""Counting all sources of a recipe, word lists included."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ekle.bpe.base import BaseTokenizer
from ekle.counting import Counts, count_documents
from ekle.counting.wordlist import count_word_list
from ekle.errors import InputError, TextError
from ekle.progress import Report
from ekle.recipe.corpus import Corpus as Settings
from ekle.text.read import Document, documents, files_of

_LEAST_LIST_WORDS = 10_000_000
_SMALL_TEXT = 1_000_000


def count_sources(
    settings: Settings,
    base: BaseTokenizer,
    report: Report,
    *,
    counted: Sequence[Path] = (),
    joined: bool = False,
    keep: Callable[[Document], bool] = lambda document: True,
) -> Counts:
    """Count the text sources, then add the word lists at their weight.

    Args:
        settings: `sources`, `word_lists`, `spoken_weight`, `text_field` and `max_bytes` are used.
        base: the tokenizer whose pre-tokenizer cuts.
        counted: counts files of other text to add; with them `sources` may be empty.
        joined: count the longer pre-tokens that the compact profile needs.
        keep: documents for which it is false are read but not counted.

    Raises:
        TextError: a source is absent, is not UTF-8, or all of them hold no text.
        InputError: counts files are unreadable, or were made with another tokenizer or for another profile.
    """
    texts = settings.sources
    size = sum(path.stat().st_size for path in files_of(texts) if path.suffix == ".txt")
    parts = [_load(path, base, joined) for path in counted]
    if texts or not parts:
        documents_kept = _texts(texts, settings, keep)
        parts.append(count_documents(documents_kept, base, report, size or None, joined=joined))
    words = sum(part.words for part in parts)
    if not words and not settings.word_lists:
        raise TextError(f"{', '.join(settings.sources)} hold no text to learn from")
    for language in settings.word_lists:
        weight = settings.spoken_weight * words if words >= _SMALL_TEXT else _LEAST_LIST_WORDS
        if weight:
            parts.append(count_word_list(language, weight, base, joined=joined))
    return Counts.add(parts)


def _load(path: Path, base: BaseTokenizer, joined: bool) -> Counts:
    counts = Counts.load(path)
    if counts.base != base.fingerprint:
        raise InputError(
            f"{path} was counted with tokenizer {counts.base}, but {base.name} is {base.fingerprint}; "
            "count its text again with this --base"
        )
    if joined and not counts.joined:
        raise InputError(
            f"{path} was not counted for the compact profile; count its text again with --profile compact"
        )
    return counts if joined else counts.apart()


def _texts(sources: Sequence[str], settings: Settings, keep: Callable[[Document], bool]) -> Iterator[str]:
    read: Iterable[Document] = documents(
        sources, text_field=settings.text_field, max_bytes=settings.max_bytes
    )
    return (document.text for document in read if keep(document))
