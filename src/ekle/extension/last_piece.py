"""A new input row is that of the token's last base piece."""

from collections.abc import Sequence

import torch
from torch import Tensor


def last_piece_rows(rows: Tensor, pieces: Sequence[Sequence[int]]) -> Tensor:
    """New rows (new tokens, hidden) in float32: row i is `rows[pieces[i][-1]]` of (base tokens, hidden).

    The base predicts what follows the token's text at its last piece, so the layers above know how to go
    on from that row. Reads one base row a new token.
    """
    return rows[torch.tensor([token[-1] for token in pieces], dtype=torch.long)].float()
