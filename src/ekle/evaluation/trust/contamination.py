"""Contamination: whether the text that is measured on is also in the text that was learned from.

What two texts share are runs of eight words (`ekle.counting.overlap`), in any language. Of conversations each
message is a text.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekle.artifacts.evaluation_report import Contamination
from ekle.counting.overlap import shared_runs
from ekle.evaluation.trust.intervals import share
from ekle.progress import ProgressReporter
from ekle.text.conversation_rows import is_conversation, read_conversation
from ekle.text.conversations import Findings
from ekle.text.documents import TextReader, has_rows, local_files, records


def measure_contamination(
    texts: Mapping[str, Sequence[str]],
    learned: Sequence[Path],
    reporter: ProgressReporter,
    reader: TextReader | None = None,
    own: Collection[Path] = (),
) -> dict[str, Contamination]:
    """How many documents of each text share a run of eight words with what was learned.

    Args:
        texts: by name, the text to measure on.
        learned: files and folders of text, or of conversations (JSON lines in any format of instructions).
        reporter: receives progress.
        reader: reads the files that the user names; a plain one if not given.
        own: files that ekle wrote, which have fields of their own.

    Returns:
        By text.

    Raises:
        TextError: a file of learned text cannot be read, or is neither.
    """
    given, ours = reader or TextReader(), TextReader()
    texts_learned = (
        text for path in learned for text in _texts_of(str(path), ours if path in own else given)
    )
    with reporter.task("contamination", None, "texts") as task:
        hits = shared_runs(texts, texts_learned, task)
    return {name: _figures(part) for name, part in hits.items()}


def _texts_of(source: str, reader: TextReader) -> Iterator[str]:
    """The documents or messages of one source, whatever kind each of its files is."""
    for file in [source] if source.startswith("hf:") else map(str, local_files([source])):
        if not _holds_conversations(file):
            yield from (document.text for document in reader.documents([file]))
            continue
        for row, where, _ in records(file):
            conversation = read_conversation(row, where, Findings())
            yield from conversation.texts() if conversation else ()


def _holds_conversations(file: str) -> bool:
    """By its first row."""
    if not has_rows(file):
        return False
    first, *_ = next(records(file), ({},))
    return is_conversation(first)


def _figures(hits: Sequence[NDArray[np.bool_]]) -> Contamination:
    judged = [hit for hit in hits if len(hit)]
    documents, too_short = len(judged), len(hits) - len(judged)
    if not judged:
        return Contamination(documents=documents, too_short=too_short)
    return Contamination(
        documents=documents,
        too_short=too_short,
        overlapping=share(sum(bool(hit.any()) for hit in judged), documents),
        mostly=share(sum(bool(hit.mean() >= 0.5) for hit in judged), documents),
        runs=float(np.concatenate(judged).mean()),
    )
