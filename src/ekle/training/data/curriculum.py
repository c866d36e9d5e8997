"""A curriculum: which document comes when, from easy to all.

After competence-based learning (Platanios et al. 2019, "Competence-based Curriculum Learning for Neural
Machine Translation", arXiv:1903.09848). When a share x of the curriculum's text has been read, the share c(x)
of the documents, the easiest ones, may be read,

    c(x) = (c0^p + x (1 - c0^p))^(1/p)      p = 1: linear, p = 2: root

and the next one is drawn from them at random. Two things are ours. A document comes again only after all that
may be read: they are like a growing deck of cards, which is shuffled again when it is used up. And x is a
share of the bytes, not of the steps. So the order is known before the first step, and an interrupted run goes
on with the same document.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ekle.errors import TextError
from ekle.files import atomic_file
from ekle.progress import ProgressReporter
from ekle.recipe.training import CurriculumSettings
from ekle.training.data.documents import Documents, Lines, Order, raw_lines, shuffled
from ekle.turkish.complexity import frequent_words, measure, scores, split_words

_SAMPLE = 256  # documents from which the bytes per token are estimated
_STREAM = int.from_bytes(b"curriculum")  # a random stream of its own, whatever else uses the seed


@dataclass(frozen=True)
class Measured:
    """For each of n documents of a file: its difficulty, (n,) from 0 to 1, and its bytes of text, (n,)."""

    difficulty: NDArray[numpy.float64]
    bytes: NDArray[numpy.int64]


def make_curriculum(
    documents: Documents,
    tokens: float,
    settings: CurriculumSettings,
    seed: int,
    folder: Path,
    begun: bool,
    reporter: ProgressReporter,
) -> Order:
    """The order of a curriculum over the first `tokens` tokens of `documents`, and then of plain passes.

    Args:
        documents: those to read, still in random order.
        tokens: length of the curriculum.
        settings: how it grows; not "off".
        seed: fixes what is drawn.
        folder: keeps measures and order.
        begun: whether this run has already read by the order in `folder`, which is then taken as it is. An
            order that an earlier attempt left may be of another curriculum.
        reporter: receives progress.

    Raises:
        TextError: the file of `documents` is damaged.
    """
    kept = folder / "order.safetensors"
    if not begun or not kept.exists():
        measured = load_or_measure(documents.lines, folder / "measures.safetensors", reporter)
        first_documents = curriculum_order(measured, tokens * _bytes_per_token(documents), settings, seed)
        with atomic_file(kept) as temporary:
            save_file({"order": torch.from_numpy(first_documents)}, temporary)
    first_documents = load_file(kept)["order"].numpy()
    later, count = shuffled(len(documents), seed), len(documents)

    def order(epoch: int) -> NDArray[numpy.int64]:
        return numpy.concatenate([first_documents[epoch * count :][:count], later(epoch)])[:count]

    return order


def competence(read: float, settings: CurriculumSettings) -> float:
    """Share of the documents that may be read after a share `read`, 0 to 1, of the curriculum."""
    match settings.pacing:
        case "off":
            return 1.0
        case "linear":
            power = 1
        case "root":
            power = 2
        case _:
            assert_never(settings.pacing)
    least = settings.start**power
    return float(min(1.0, least + read * (1 - least)) ** (1 / power))


def curriculum_order(
    measured: Measured, size: float, settings: CurriculumSettings, seed: int
) -> NDArray[numpy.int64]:
    """The documents of the curriculum in order, until `size` bytes are read and the deck is used up."""
    easiest: list[int] = numpy.argsort(measured.difficulty, kind="stable").tolist()
    random = numpy.random.default_rng([seed, _STREAM])
    sizes = numpy.maximum(measured.bytes, 1).tolist()
    deck: list[int] = []
    drawn: list[int] = []
    opened, read = 0, 0
    while read < size:
        may = max(math.ceil(competence(read / size, settings) * len(easiest)), opened)
        deck += easiest[opened:may]
        opened = may
        if not deck:
            deck = easiest[:opened]
        place = int(random.integers(len(deck)))
        deck[place], deck[-1] = deck[-1], deck[place]
        drawn.append(deck.pop())
        read += sizes[drawn[-1]]
    rest = deck + easiest[opened:]
    return numpy.concatenate([numpy.array(drawn, dtype=numpy.int64), random.permutation(rest)]).astype(int)


def load_or_measure(lines: Lines, kept: Path, reporter: ProgressReporter) -> Measured:
    """Measure every document of `lines`, or read from the file `kept` what was measured before.

    `kept` holds the five measures (n, 5) and the bytes (n,) in the order of the file. It is made again if
    `lines` has another size.

    Raises:
        TextError: a line is no document.
    """
    first, stop = lines.byte_range or (0, lines.path.stat().st_size)
    size = stop - first
    found = _read(kept, size)
    if found is None:
        counts: Counter[str] = Counter()
        with reporter.task("complexity of the text", 2 * size, "bytes") as task:
            for text in _texts(lines):
                counts.update(split_words(text))
                task.advance(len(text.encode()))
            frequent = frequent_words(counts)
            measured, sizes = [], []
            for text in _texts(lines):
                measured.append(measure(text, frequent))
                sizes.append(len(text.encode()))
                task.advance(sizes[-1])
        found = {"measures": torch.tensor(measured), "bytes": torch.tensor(sizes)}
        with atomic_file(kept) as temporary:
            save_file(found, temporary, metadata={"file": str(size)})
    return Measured(scores(found["measures"].numpy()), found["bytes"].numpy())


def _bytes_per_token(documents: Documents) -> float:
    """Bytes of text per token, of the first documents in random order; each has one token more at its end."""
    sample = range(min(_SAMPLE, len(documents)))
    size = sum(len(documents.lines.text(number).encode()) for number in sample)
    return size / sum(len(documents.ids(number)) + 1 for number in sample)


def _read(kept: Path, size: int) -> dict[str, torch.Tensor] | None:
    """What `load_or_measure` kept for a file of `size` bytes; None if there is nothing usable."""
    try:
        with safe_open(kept, framework="pt") as handle:
            if (handle.metadata() or {}).get("file") != str(size):
                return None
            return {name: handle.get_tensor(name) for name in ("measures", "bytes")}
    except (OSError, SafetensorError):
        return None


def _texts(lines: Lines) -> Iterator[str]:
    for _, line in raw_lines(lines.path, lines.byte_range):
        try:
            text: str = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise TextError(f"{lines.path} has a line that is no document: {line[:80]!r}") from error
        yield text
