"""Contamination: whether the text that is measured on is also in the text that was learned from.

Runs of eight words (as in GPT-3's check, Brown et al. 2020, appendix C, with a shorter run, because the
documents are shorter) of the measured text are kept as 64-bit hashes, and the learned text is read once. So
memory grows with the measured text alone. Words are letters and digits in lower case. Of conversations each
message is a text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekle.artifacts.evaluation_report import Contamination
from ekle.bpe.encode import batches
from ekle.errors import TextError
from ekle.evaluation.trust.intervals import share
from ekle.progress import ProgressReporter
from ekle.text.documents import documents, local_files, records
from ekle.text.formats import JSON_LINES
from ekle.turkish import casing

NGRAM = 8

_STOP = "\x00"  # between texts: a word that no text has
_WORD = re.compile(rf"\w+|{_STOP}")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no run of words is lost; digits of the golden ratio

Hashes = NDArray[np.uint64]


def measure_contamination(
    texts: Mapping[str, Sequence[str]], learned: Sequence[Path], reporter: ProgressReporter
) -> dict[str, Contamination]:
    """How many documents of each text share a run of eight words with what was learned.

    Args:
        texts: by name, the text to measure on.
        learned: files and folders of text, or of conversations (JSON lines with `messages`).
        reporter: receives progress.

    Returns:
        By text.

    Raises:
        TextError: a file of learned text cannot be read, or is neither.
    """
    runs = {name: [ngram_hashes([text])[0] for text in part] for name, part in texts.items()}
    every = [run for part in runs.values() for run in part]
    wanted = np.unique(np.concatenate(every)) if every else np.empty(0, np.uint64)
    seen = np.zeros(len(wanted), dtype=bool)
    with reporter.task("contamination", None, "texts") as task:
        for batch in batches(text for path in learned for text in _texts_of(str(path))):
            if not len(wanted):
                break
            found = np.concatenate(ngram_hashes(batch))
            places = np.searchsorted(wanted, found).clip(max=len(wanted) - 1)
            seen[places[wanted[places] == found]] = True
            task.advance(len(batch))
    known = wanted[seen]
    return {name: _figures([np.isin(run, known) for run in part]) for name, part in runs.items()}


def _texts_of(source: str) -> Iterator[str]:
    """The documents or messages of one source, whatever kind each of its files is."""
    for file in [source] if source.startswith("hf:") else map(str, local_files([source])):
        if not _holds_conversations(file):
            yield from (document.text for document in documents([file]))
            continue
        for row, where, _ in records(file):
            turns = row.get("messages") if isinstance(row, dict) else None
            if not isinstance(turns, list):
                raise TextError(f"{where} has no messages, and the rows before it have")
            contents = (turn.get("content") for turn in turns if isinstance(turn, dict))
            yield from (content for content in contents if isinstance(content, str))


def _holds_conversations(file: str) -> bool:
    """By its first row: conversations have `messages` and no `text`."""
    if not file.endswith(JSON_LINES):
        return False
    first, *_ = next(records(file), ({},))
    return isinstance(first, dict) and "messages" in first and "text" not in first


def ngram_hashes(texts: Sequence[str]) -> list[Hashes]:
    """The hashes of the runs of eight words of each text, in order; a shorter text has none."""
    words = _WORD.findall(casing.lower(f" {_STOP} ".join(text.replace(_STOP, " ") for text in texts)))
    # Python's own hash: 64 bits, and the same for the same word throughout this process.
    hashes = np.array([*map(hash, words), hash(_STOP)], dtype=np.int64).view(np.uint64)
    (stops,) = np.nonzero(hashes == np.array(hash(_STOP), dtype=np.int64).view(np.uint64))
    runs = np.zeros(max(len(hashes) - NGRAM + 1, 0), dtype=np.uint64)
    for place in range(NGRAM):
        runs = runs * _FACTOR + hashes[place : place + len(runs)]
    starts = [0, *(stops[:-1] + 1).tolist()]
    return [
        runs[start : max(stop - NGRAM + 1, start)] for start, stop in zip(starts, stops.tolist(), strict=True)
    ]


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
