"""Runs of words that two texts share: whether text to measure on is also in text to learn from.

Runs of eight words (as in GPT-3's check, Brown et al. 2020, appendix C, with a shorter run, because the
documents are shorter) of the measured text are kept as 64-bit hashes, and the learned text is read once. So
memory grows with the measured text alone. Words are letters and digits in lower case. ı counts as i, because
the lower case of I depends on the language, and any may come.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ekle.bpe.encode import batches
from ekle.progress import Task
from ekle.turkish import casing

NGRAM = 8

_STOP = "\x00"  # between texts: a word that no text has
_WORD = re.compile(rf"\w+|{_STOP}")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no run of words is lost; digits of the golden ratio

Hashes = NDArray[np.uint64]


def shared_runs(
    texts: Mapping[str, Sequence[str]], learned: Iterable[str], task: Task
) -> dict[str, list[NDArray[np.bool_]]]:
    """Of each document of each text, which of its runs of eight words also stand in what was learned.

    Args:
        texts: by name, the documents to measure on.
        learned: the documents that were learned from, or will be.
        task: advances by a text learned from.

    Returns:
        By text, for each document one entry per run, (runs,), in order; a shorter document has none.
    """
    runs = {name: [ngram_hashes([text])[0] for text in part] for name, part in texts.items()}
    every = [run for part in runs.values() for run in part]
    wanted = np.unique(np.concatenate(every)) if every else np.empty(0, np.uint64)
    seen = np.zeros(len(wanted), dtype=bool)
    for batch in batches(learned) if len(wanted) else ():
        found = np.concatenate(ngram_hashes(batch))
        places = np.searchsorted(wanted, found).clip(max=len(wanted) - 1)
        seen[places[wanted[places] == found]] = True
        task.advance(len(batch))
    known = wanted[seen]
    return {name: [np.isin(run, known) for run in part] for name, part in runs.items()}


def run_at(text: str, place: int) -> str:
    """The eight words of the run that is the `place`-th of `text`, as they stand there."""
    return " ".join(_WORD.findall(text)[place : place + NGRAM])


def ngram_hashes(texts: Sequence[str]) -> list[Hashes]:
    """The hashes of the runs of eight words of each text, in order; a shorter text has none."""
    # Python's own hash: 64 bits, and the same for the same word throughout this process.
    hashes = np.array([*map(hash, _words(texts)), hash(_STOP)], dtype=np.int64).view(np.uint64)
    (stops,) = np.nonzero(hashes == np.array(hash(_STOP), dtype=np.int64).view(np.uint64))
    runs = np.zeros(max(len(hashes) - NGRAM + 1, 0), dtype=np.uint64)
    for place in range(NGRAM):
        runs = runs * _FACTOR + hashes[place : place + len(runs)]
    starts = [0, *(stops[:-1] + 1).tolist()]
    return [
        runs[start : max(stop - NGRAM + 1, start)] for start, stop in zip(starts, stops.tolist(), strict=True)
    ]


def _words(texts: Sequence[str]) -> list[str]:
    """The words of all texts, with a stop between two texts."""
    joined = f" {_STOP} ".join(text.replace(_STOP, " ") for text in texts)
    return _WORD.findall(casing.lower(joined).replace("ı", "i"))
