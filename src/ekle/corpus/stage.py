"""Stage 1, corpus, in a run: documents to train on, documents to measure on, and counts.

Sources are read once, and each document is written at once, so no source is ever in memory as a whole.
"""

import hashlib
import json
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ekle.artifacts import Corpus, read_documents
from ekle.bpe.base import load_base
from ekle.corpus.count import count_sources
from ekle.counting.overlap import run_at, shared_runs
from ekle.errors import TextError
from ekle.files import short_names, write_json
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.recipe.corpus import CorpusSettings
from ekle.text.conversation_rows import conversations
from ekle.text.conversations import Findings
from ekle.text.documents import Document, TextReader


@dataclass(frozen=True)
class Inputs:
    """The corpus stage is the first; it needs nothing."""


def run(recipe: Recipe, inputs: Inputs, folder: Path, reporter: ProgressReporter) -> Corpus:
    """Read, split and count the text of `recipe` into `folder`.

    Raises:
        TextError: a source is absent, not UTF-8 or empty, the text is not Turkish, or a row of the
            instructions is no conversation.
    """
    settings = recipe.corpus
    base = load_base(recipe.base.tokenizer, recipe.base.revision)
    (folder / "held-out").mkdir(parents=True, exist_ok=True)
    (folder / "other").mkdir(exist_ok=True)
    genres: set[str] = set()
    reader = TextReader(reporter.say, settings.text_field, settings.keep_misdecoded)
    figures = {
        "documents": 0,
        "bytes": 0,
        "held_out_documents": 0,
        "replay_documents": _split_replay(settings, folder, reader),
        "instructions": _write_instructions(settings, folder, reporter),
    }
    byte_ranges: dict[str, tuple[int, int]] = {}
    with (folder / "train.jsonl").open("wb") as train:

        def keep(document: Document) -> bool:
            if is_held_out(document.text, settings.held_out):
                genres.add(document.source)
                figures["held_out_documents"] += 1
                _append(folder / "held-out" / f"{document.source}.jsonl", document)
                return False
            begin = train.tell()
            _write(train, document)
            byte_ranges[document.entry] = (byte_ranges.get(document.entry, (begin, begin))[0], train.tell())
            figures["documents"] += 1
            figures["bytes"] += len(document.text.encode("utf-8"))
            return True

        pre_tokenization = recipe.vocabulary.pre_tokenization
        any_language = recipe.vocabulary.any_language
        counted = count_sources(
            settings, base, reporter, keep=keep, pre_tokenization=pre_tokenization, any_language=any_language
        )
    counts = counted.counts
    if not figures["documents"]:
        raise TextError(
            f"no text to train on in {', '.join(settings.sources)}: every document is held out; "
            "give more, or a smaller corpus.held_out"
        )
    _write_named(settings.held_out_files, folder / "held-out", genres, reader, turkish=True)
    replayed = {path.stem for path in (folder / "other").iterdir()}
    _write_named(settings.other_files, folder / "other", replayed, reader, turkish=False)
    overlap = _replay_overlap(Corpus(folder), reporter)
    counts.save(folder / "counts.parquet")
    summary = {
        **figures,
        "words": counts.words,
        "pre_tokens": len(counts.table),
        "sources": settings.sources,
        "stretches": byte_ranges,
        **counted.about,
        "replay_overlap": overlap,
        "base": {"name": base.name, "fingerprint": base.fingerprint},
    }
    write_json(folder / "corpus.json", summary)
    return Corpus(folder)


def is_held_out(text: str, share: float) -> bool:
    """Whether a document is kept for measuring; this depends on its text alone, not on its position."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")
    return number < share * 2**64


def _split_replay(settings: CorpusSettings, folder: Path, reader: TextReader) -> int:
    """Write text in other languages to replay.jsonl, and what is held out to other/; returns the number of
    documents."""
    count = 0
    with (folder / "replay.jsonl").open("wb") as replay:
        for document in reader.documents(settings.replay, max_bytes=settings.max_bytes):
            count += 1
            if is_held_out(document.text, settings.held_out):
                _append(folder / "other" / f"{document.source}.jsonl", document)
            else:
                _write(replay, document)
    if settings.replay and not count:
        raise TextError(f"no text in {', '.join(settings.replay)}; take it out of corpus.replay")
    return count


def _replay_overlap(corpus: Corpus, reporter: ProgressReporter) -> dict[str, float]:
    """The share of documents, by held-out text in other languages, that share eight words in a row with the
    replay text, of those with so many words; a line warns of each text that does.

    What training reads again and again is no measure of forgetting. For the language to learn, whose text is
    far larger, the evaluation says it.
    """
    texts = {name: list(read_documents(path)) for name, path in corpus.other.items()}
    if not texts or not corpus.replay.stat().st_size:
        return {}
    with reporter.task("held-out text in other languages against replay", None, "texts") as task:
        found = shared_runs(texts, read_documents(corpus.replay), task)
    shares: dict[str, float] = {}
    for name, hits in found.items():
        seen = [number for number, hit in enumerate(hits) if hit.any()]
        if not seen:
            continue
        shares[name] = len(seen) / sum(bool(len(hit)) for hit in hits)
        example = run_at(texts[name][seen[0]], int(hits[seen[0]].argmax()))
        reporter.say(
            f"{shares[name]:.1%} of the documents held out as {name} share eight words in a row with the "
            f"replay text, such as {example!r}; training reads them, so take them out of corpus.replay, or "
            "measure on other text (corpus.other_files)",
            name=name,
            share=shares[name],
            example=example,
        )
    return shares


def _write_instructions(settings: CorpusSettings, folder: Path, reporter: ProgressReporter) -> int:
    """Write the conversations to instructions.jsonl, if the recipe names any; returns their number.

    What is left out of them is said, each kind once.
    """
    if not settings.instructions:
        return 0
    count, findings = 0, Findings()
    with (folder / "instructions.jsonl").open("wb") as handle:
        for conversation in conversations(settings.instructions, findings):
            count += 1
            _write_line(handle, conversation.as_json())
    for line in findings.lines():
        reporter.say(f"corpus.instructions: {line}")
    if not count:
        raise TextError(
            f"no answer to learn in {', '.join(settings.instructions)}; take it out of corpus.instructions"
        )
    return count


def _write(handle: IO[bytes], document: Document) -> None:
    text = unicodedata.normalize("NFC", document.text)
    _write_line(handle, {"text": text, "source": document.source})


def _append(path: Path, document: Document) -> None:
    with path.open("ab") as handle:
        _write(handle, document)


def _write_line(handle: IO[bytes], value: dict[str, Any]) -> None:
    handle.write(json.dumps(value, ensure_ascii=False).encode("utf-8") + b"\n")


def _write_named(
    sources: Sequence[str], folder: Path, taken: Collection[str], reader: TextReader, *, turkish: bool
) -> None:
    """Write the documents of each source to its own file in `folder`, under a name that is not `taken`."""
    for name, source in zip(short_names(sources, taken), sources, strict=True):
        with (folder / f"{name}.jsonl").open("wb") as handle:
            for document in reader.documents([source], turkish=turkish):
                _write(handle, document)
