"""Every new row is the mean of the base rows in use."""

import torch
from torch import Tensor

_CHUNK = 16_384


def mean_rows(rows: Tensor, used: Tensor, count: int) -> Tensor:
    """`count` new rows (count, hidden) in float32, all equal: the mean of `rows[used]`.

    The customary baseline (Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models").
    Rows without a token are left out, as they were never trained. The mean is taken in float32 by parts,
    so that a bfloat16 matrix (base tokens, hidden) is never copied whole.
    """
    total = torch.zeros(rows.shape[1])
    for part in used.split(_CHUNK):
        total += rows[part].float().sum(dim=0)
    return (total / len(used)).expand(count, -1).clone()
