"""The rules by which new rows start, each in a file of its own; this is where one is chosen."""

from collections.abc import Sequence
from typing import Literal, assert_never

from torch import Tensor

from ekle.extension.first_piece import first_piece_rows
from ekle.extension.last_piece import last_piece_rows
from ekle.extension.mean import mean_rows
from ekle.extension.subword import subword_rows
from ekle.recipe.extension import Initialiser

End = Literal["input", "output", "both"]
"""What a matrix serves: the model's input, its output, or both because they are tied."""


def new_rows(
    method: Initialiser, rows: Tensor, pieces: Sequence[Sequence[int]], used: Tensor, end: End
) -> Tensor:
    """Rows for new tokens, (new tokens, hidden) in float32, by the rule `method`.

    Args:
        method: name of the rule.
        rows: base rows (base tokens, hidden) in the model's precision.
        pieces: base ids that each new token replaces, at least one a token.
        used: ids of the base rows that have a token; the others were never trained.
        end: the end of the model that `rows` serves.
    """
    match method:
        case "mean":
            return mean_rows(rows, used, len(pieces))
        case "subword":
            return subword_rows(rows, pieces)
        case "edges":
            match end:
                case "input":
                    return last_piece_rows(rows, pieces)
                case "output":
                    return first_piece_rows(rows, pieces)
                case "both":  # one row has to serve both ends
                    return (last_piece_rows(rows, pieces) + first_piece_rows(rows, pieces)) / 2
                case _:
                    assert_never(end)
        case _:
            assert_never(method)
