"""Counting all sources of a recipe, word lists included."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ekle.bpe.base import BaseTokenizer
from ekle.counting import Counts, count_documents
from ekle.counting.wordlist import count_word_list
from ekle.errors import TextError
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
    keep: Callable[[Document], bool] = lambda document: True,
) -> Counts:
    """Count the text sources, then add the word lists at their weight.

    Args:
        settings: `sources`, `word_lists`, `spoken_weight`, `text_field` and `max_bytes` are used.
        base: the tokenizer whose pre-tokenizer cuts.
        counted: counts files of other text to add.
        keep: documents for which it is false are read but not counted.

    Raises:
        TextError: a source is absent, is not UTF-8, or all of them hold no text.
    """
    texts = settings.sources
    size = sum(path.stat().st_size for path in files_of(texts) if path.suffix == ".txt")
    parts = [Counts.load(path) for path in counted]
    parts.append(count_documents(_texts(texts, settings, keep), base, report, size or None))
    words = sum(part.words for part in parts)
    if not words:
        raise TextError(
            f"no text to learn from in {', '.join(settings.sources)}; word lists alone do not suffice"
        )
    for language in settings.word_lists:
        weight = settings.spoken_weight * words if words >= _SMALL_TEXT else _LEAST_LIST_WORDS
        if weight:
            parts.append(count_word_list(language, weight, base))
    return Counts.add(parts)


def _texts(sources: Sequence[str], settings: Settings, keep: Callable[[Document], bool]) -> Iterator[str]:
    read: Iterable[Document] = documents(
        sources, text_field=settings.text_field, max_bytes=settings.max_bytes
    )
    return (document.text for document in read if keep(document))
