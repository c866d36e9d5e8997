"""The rules that compute new rows, each in a file of its own; this is where one is chosen.

What a rule does may differ at the two ends of the model. Where one matrix serves both, a new row is the mean
of the two rows that the rule gives for the ends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, assert_never

import torch
from torch import Tensor

from ekle.artifacts import NewToken
from ekle.bpe.two_cuts import Cutter
from ekle.extension.neighbours import Neighbours
from ekle.extension.rules.asymmetric import asymmetric_input_rows
from ekle.extension.rules.first_piece import first_piece_rows
from ekle.extension.rules.focus import focus_mixture
from ekle.extension.rules.hybrid import hybrid_rows
from ekle.extension.rules.last_piece import last_piece_rows
from ekle.extension.rules.length_weighted import length_weighted_rows
from ekle.extension.rules.mean import mean_rows
from ekle.extension.rules.mixture import Mixture, mix
from ekle.extension.rules.similarity import similarity_rows
from ekle.extension.rules.statistical import statistical_rows
from ekle.extension.rules.statistics import RowStatistics, row_statistics
from ekle.extension.rules.subword import subword_rows
from ekle.extension.static_vectors import static_vectors
from ekle.model.row_matrix import RowMatrix
from ekle.recipe.extension import Extension, Heuristic

End = Literal["input", "output", "both"]
"""What a matrix serves: the model's input, its output, or both because they are tied."""


@dataclass(frozen=True)
class Known:
    """What a rule may know beside the base's rows.

    `used` holds the ids of the base rows that have a token, the others were never trained; `base` the
    bytes of each base token, added tokens left out; `documents` gives the user's text, anew each time,
    `cutter` base and extended tokenizer, and `replay` text in other languages, likewise.
    """

    tokens: Sequence[NewToken]
    used: Tensor
    base: Mapping[int, bytes]
    settings: Extension
    documents: Callable[[], Iterator[str]]
    cutter: Callable[[], Cutter]
    replay: Callable[[], Iterator[str]] = lambda: iter(())

    @cached_property
    def pieces(self) -> list[list[int]]:
        """Base ids that each new token replaces."""
        return [token.base_pieces for token in self.tokens]

    @cached_property
    def sizes(self) -> dict[int, int]:
        """Bytes of each base token."""
        return {number: len(raw) for number, raw in self.base.items()}

    @cached_property
    def neighbours(self) -> Neighbours:
        """Morphological neighbours of the new tokens."""
        return Neighbours(self.tokens, self.base, self.settings.similarity.members)

    @cached_property
    def overlap(self) -> Mixture:
        """What `focus` makes each new row of; the same for both ends."""
        about = self.settings.focus
        texts = list(_up_to(self.documents(), about.text_bytes))
        vectors = static_vectors(
            self.cutter().new_ids(texts),
            window=about.window,
            min_count=about.min_count,
            dimensions=about.dimensions,
            seed=self.settings.seed,
        )
        return focus_mixture(vectors, self.tokens[0].id, self.pieces)


def new_rows(method: Heuristic, rows: RowMatrix, known: Known, end: End) -> Tensor:
    """Rows for new tokens, (new tokens, width) in float32, by the rule `method`.

    Args:
        method: name of the rule.
        rows: base rows (base tokens, width).
        known: the new tokens and the settings.
        end: the end of the model that `rows` serves.
    """
    if end == "both":
        if method in _ALIKE:
            return new_rows(method, rows, known, "input")
        return (new_rows(method, rows, known, "input") + new_rows(method, rows, known, "output")) / 2
    match method:
        case "mean":
            return mean_rows(_statistics(rows, known), len(known.tokens))
        case "statistical":
            return statistical_rows(_statistics(rows, known), len(known.tokens), _generator(known, end))
        case "subword":
            return subword_rows(rows, known.pieces)
        case "length_weighted":
            return length_weighted_rows(rows, known.pieces, known.sizes)
        case "first_piece":
            return (
                subword_rows(rows, known.pieces) if end == "input" else first_piece_rows(rows, known.pieces)
            )
        case "last_piece":
            return last_piece_rows(rows, known.pieces) if end == "input" else subword_rows(rows, known.pieces)
        case "edges":
            return new_rows("last_piece" if end == "input" else "first_piece", rows, known, end)
        case "asymmetric":
            if end == "output":
                return length_weighted_rows(rows, known.pieces, known.sizes)
            return asymmetric_input_rows(rows, known.pieces, _statistics(rows, known))
        case "similarity":
            weights = known.settings.similarity
            return similarity_rows(rows, known.tokens, known.neighbours, weights, end)
        case "hybrid":
            similar = new_rows("similarity", rows, known, end)
            settings = known.settings.hybrid
            return hybrid_rows(similar, _statistics(rows, known), settings, _generator(known, end))
        case "focus":
            return mix(rows, known.overlap)
        case _:
            assert_never(method)


_ALIKE: frozenset[Heuristic] = frozenset({"mean", "statistical", "subword", "length_weighted", "focus"})
"""Rules that do the same at both ends."""


def _up_to(documents: Iterator[str], size: int) -> Iterator[str]:
    """The first documents, up to the one that fills `size` bytes."""
    for text in documents:
        yield text
        size -= len(text.encode())
        if size <= 0:
            return


def _statistics(rows: RowMatrix, known: Known) -> RowStatistics:
    return row_statistics(rows, known.used)


def _generator(known: Known, end: End) -> torch.Generator:
    """Noise of its own for each end."""
    return torch.Generator().manual_seed(2 * known.settings.seed + (end == "output"))
