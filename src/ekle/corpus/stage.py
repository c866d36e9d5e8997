"""The corpus stage in a run: documents to train on, documents to measure on, and counts."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ekle.artifacts import Corpus
from ekle.bpe.base import load_base
from ekle.corpus.count import count_sources
from ekle.errors import TextError
from ekle.files import write_json
from ekle.progress import Report
from ekle.recipe import Recipe
from ekle.text.read import Document, documents, names_of


@dataclass(frozen=True)
class Inputs:
    """The corpus stage is the first; it needs nothing."""


def run(recipe: Recipe, inputs: Inputs, folder: Path, report: Report) -> Corpus:
    """Read, split and count the text of `recipe` into `folder`.

    Raises:
        TextError: a source is absent, not UTF-8 or empty, or the text is not Turkish.
    """
    settings = recipe.corpus
    base = load_base(recipe.base.tokenizer, recipe.base.revision)
    (folder / "held-out").mkdir(parents=True, exist_ok=True)
    (folder / "other").mkdir(exist_ok=True)
    held: dict[str, list[Document]] = {}
    figures = {"documents": 0, "bytes": 0, "held_out_documents": 0}
    with (folder / "train.jsonl").open("w", encoding="utf-8") as train:

        def keep(document: Document) -> bool:
            if is_held_out(document.text, settings.held_out):
                held.setdefault(document.source, []).append(document)
                return False
            _write(train, document)
            figures["documents"] += 1
            figures["bytes"] += len(document.text.encode("utf-8"))
            return True

        cut = recipe.vocabulary.pre_tokens
        any_language = recipe.vocabulary.any_language
        counted = count_sources(settings, base, report, keep=keep, cut=cut, any_language=any_language)
    counts = counted.counts
    if not figures["documents"]:
        raise TextError(
            f"no text to train on in {', '.join(settings.sources)}: every document is held out; "
            "give more, or a smaller corpus.held_out"
        )
    for genre, found in held.items():
        _write_all(folder / "held-out" / f"{genre}.jsonl", found)
        figures["held_out_documents"] += len(found)
    for name, source in zip(names_of(settings.held_out_files, held), settings.held_out_files, strict=True):
        _write_all(folder / "held-out" / f"{name}.jsonl", documents([source]))
    with (folder / "replay.jsonl").open("w", encoding="utf-8") as replay:
        for document in documents(settings.replay, text_field=settings.text_field):
            if is_held_out(document.text, settings.held_out):
                with (folder / "other" / f"{document.source}.jsonl").open("a", encoding="utf-8") as other:
                    _write(other, document)
            else:
                _write(replay, document)
    replayed = {path.stem for path in (folder / "other").iterdir()}
    for name, source in zip(names_of(settings.other_files, replayed), settings.other_files, strict=True):
        _write_all(folder / "other" / f"{name}.jsonl", documents([source]))
    counts.save(folder / "counts.parquet")
    summary = {
        **figures,
        "words": counts.words,
        "pre_tokens": len(counts.table),
        "sources": settings.sources,
        **counted.about,
        "base": {"name": base.name, "fingerprint": base.fingerprint},
    }
    write_json(folder / "corpus.json", summary)
    return Corpus(folder)


def is_held_out(text: str, share: float) -> bool:
    """Whether a document is kept for measuring; depends on its text alone, so order does not matter."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")
    return number < share * 2**64


def _write(handle: IO[str], document: Document) -> None:
    text = unicodedata.normalize("NFC", document.text)
    handle.write(json.dumps({"text": text, "source": document.source}, ensure_ascii=False) + "\n")


def _write_all(path: Path, found: Iterable[Document]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        for document in found:
            _write(handle, document)
