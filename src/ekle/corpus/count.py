"""Counting all sources of a recipe, word lists included."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ekle.bpe.base import BaseTokenizer
from ekle.corpus.language import check_turkish, turkish_share
from ekle.corpus.repeats import Repeats
from ekle.counting import Counts, count_documents
from ekle.counting.wordlist import count_word_list
from ekle.errors import InputError, TextError
from ekle.progress import Report
from ekle.recipe.corpus import Corpus as Settings
from ekle.recipe.vocabulary import PreTokens
from ekle.text.read import Document, documents, files_of

_LEAST_LIST_WORDS = 10_000_000
_SMALL_TEXT = 1_000_000


@dataclass(frozen=True)
class Counted:
    """Counts, and what counting found out about the text."""

    counts: Counts
    about: dict[str, Any]
    """`turkish_share`: share of Turkish words, None where there are too few to say; `repeats`: lines left
    out."""


def count_sources(
    settings: Settings,
    base: BaseTokenizer,
    report: Report,
    *,
    counted: Sequence[Path] = (),
    cut: PreTokens = "base",
    keep: Callable[[Document], bool] = lambda document: True,
    any_language: bool = False,
) -> Counted:
    """Count the text sources, then add the word lists at their weight.

    Args:
        settings: `sources`, `word_lists`, `spoken_weight`, `repeats`, `text_field` and `max_bytes` are used.
        base: the tokenizer whose pre-tokenizer cuts.
        counted: counts files of other text to add; with them `sources` may be empty.
        cut: how to cut, as the profile needs it.
        keep: documents for which it is false are read but not counted.
        any_language: go on where the text is not Turkish.

    Raises:
        TextError: a source is absent, is not UTF-8, all of them hold no text, or the text is not Turkish.
        InputError: counts files are unreadable, or were made with another tokenizer or for another profile.
    """
    texts = settings.sources
    size = sum(path.stat().st_size for path in files_of(texts) if path.suffix == ".txt")
    parts = [_load(path, base, cut) for path in counted]
    repeats = Repeats(settings.repeats)
    if texts or not parts:
        read = repeats.pass_on(_texts(texts, settings, keep))
        parts.append(count_documents(read, base, report, size or None, cut=cut))
    share = turkish_share(Counts.add(parts).apart().table)
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
            parts.append(count_word_list(language, weight, base, cut=cut))
    return Counted(Counts.add(parts), {"turkish_share": share, "repeats": repeats.summary()})


def _load(path: Path, base: BaseTokenizer, cut: PreTokens) -> Counts:
    counts = Counts.load(path)
    if counts.base != base.fingerprint:
        raise InputError(
            f"{path} was counted with tokenizer {counts.base}, but {base.name} is {base.fingerprint}; "
            "count its text again with this --base"
        )
    try:
        return counts.as_cut(cut)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _texts(sources: Sequence[str], settings: Settings, keep: Callable[[Document], bool]) -> Iterator[str]:
    read: Iterable[Document] = documents(
        sources, text_field=settings.text_field, max_bytes=settings.max_bytes
    )
    return (document.text for document in read if keep(document))
