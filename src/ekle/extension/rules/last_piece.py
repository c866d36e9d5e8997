"""A new input row is that of the token's last base piece."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ekle.model.row_matrix import RowMatrix


def last_piece_rows(rows: RowMatrix, pieces: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, width) in float32: row i is `rows[pieces[i][-1]]`; meant for input rows.

    The base predicts what follows the token's text at its last piece, so the layers above know how to go
    on from that row. Nakash et al. (2025, "AdaptiVocab: Enhancing LLM Efficiency in Focused Domains through
    Lightweight Vocabulary Adaptation", section 3.3) mix the pieces' rows with weights that grow by e^2 from
    piece to piece; here all weight is on the last. Reads one base row a new token.
    """
    return rows.take(torch.tensor([token[-1] for token in pieces], dtype=torch.long))
