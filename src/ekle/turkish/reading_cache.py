"""The lexicon's readings of many words, by several processes and with a cache on disk.

A reading depends only on the word, the lexicon library and the table of labels, so the cache file is named
after the last two. It is in the user's cache folder (`EKLE_CACHE`, else `XDG_CACHE_HOME/ekle`, else
`~/.cache/ekle`) and may be deleted at any time; where it cannot be written, nothing is cached.
"""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from ekle.files import atomic_file
from ekle.turkish.lexicon import Reading, readings, version
from ekle.turkish.tables import digest

_ALONE = 4_000
"""Fewer new words are read in this process: starting others takes some seconds."""

_CHUNK = 2_000
_LONGEST = 40
"""Letters; longer strings are no words, and the search over the grammar grows with length."""


def read_words(words: Iterable[str], processes: int = 0, remember: bool = True) -> dict[str, list[Reading]]:
    """Every reading of every word, as `ekle.turkish.lexicon.readings` gives them.

    Args:
        words: lower-case Turkish words without apostrophes.
        processes: number of processes; 0 means one per core.
        remember: whether to use and extend the file in the user's cache folder.
    """
    wanted = list(dict.fromkeys(words))
    known = _load() if remember else {}
    missing = [word for word in wanted if word not in known]
    if missing:
        known.update(zip(missing, _read(missing, processes or os.cpu_count() or 1), strict=True))
        if remember:
            _save(known)
    return {word: known[word] for word in wanted}


def cache_folder() -> Path:
    """The folder for what ekle can compute again."""
    if "EKLE_CACHE" in os.environ:
        return Path(os.environ["EKLE_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekle"


def _read(words: Sequence[str], processes: int) -> list[list[Reading]]:
    if processes == 1 or len(words) < _ALONE:
        return _read_some(words)
    # Words with similar endings go to one process, whose cache of endings then serves more of them.
    order = sorted(range(len(words)), key=lambda place: words[place][::-1])
    chunks = [[words[place] for place in order[at : at + _CHUNK]] for at in range(0, len(order), _CHUNK)]
    # Not fork: threads of other libraries in this process may hold locks.
    with multiprocessing.get_context("spawn").Pool(min(processes, len(chunks))) as pool:
        found = [one for chunk in pool.map(_read_some, chunks, chunksize=1) for one in chunk]
    results: list[list[Reading]] = [[] for _ in words]
    for place, one in zip(order, found, strict=True):
        results[place] = one
    return results


def _read_some(words: Sequence[str]) -> list[list[Reading]]:
    return [readings(word) if len(word) <= _LONGEST else [] for word in words]


def _file() -> Path:
    key = hashlib.sha256(f"{version()} {digest('lexicon_labels')} 1".encode()).hexdigest()[:16]
    return cache_folder() / f"readings-{key}.jsonl"


def _load() -> dict[str, list[Reading]]:
    """The cached readings; a file that cannot be read counts as empty."""
    known: dict[str, list[Reading]] = {}
    try:
        with _file().open(encoding="utf-8") as lines:
            while block := list(islice(lines, 10_000)):
                for word, rows in json.loads("[" + ",".join(block) + "]"):
                    known[word] = [
                        Reading(r[0], r[1], r[2], r[3], tuple(r[4].split()), tuple(r[5].split()))
                        for r in rows
                    ]
    except (OSError, ValueError, IndexError):
        return {}
    return known


def _save(known: dict[str, list[Reading]]) -> None:
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(_file()) as path, path.open("w", encoding="utf-8") as out:
            for word, found in known.items():
                rows = [
                    [*reading[:4], " ".join(reading.morphemes), " ".join(reading.labels)] for reading in found
                ]
                out.write(json.dumps([word, rows], ensure_ascii=False, separators=(",", ":")) + "\n")
    except OSError:
        return
