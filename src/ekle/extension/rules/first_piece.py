"""A new output row is that of the token's first base piece."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ekle.model.row_matrix import RowMatrix


def first_piece_rows(rows: RowMatrix, pieces: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is `rows[pieces[i][0]]`; meant for output rows.

    Where the base wants to write the token's text, it puts its mass on the first piece, so the output
    row that answers to the same hidden states is that piece's. Nakash et al. (2025, "AdaptiVocab: Enhancing
    LLM Efficiency in Focused Domains through Lightweight Vocabulary Adaptation", section 3.3) mix the pieces'
    rows with weights that fall by e^2 from piece to piece; here all weight is on the first. Reads one base
    row a new token.
    """
    return rows.take(torch.tensor([token[0] for token in pieces], dtype=torch.long))
