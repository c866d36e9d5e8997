"""Statistics of the embedding rows that have a token."""

import pytest
import torch

from ekle.bpe.placeholders import placeholder
from ekle.model.checkpoint.weights import LoadedEmbeddingMatrix
from ekle.model.row_statistics import row_statistics, used_ids


def test_rows_without_a_token_do_not_count() -> None:
    vocabulary = {"a": 0, "b": 1, placeholder(2): 2, "<|added|>": 3, "new": 4}
    used = used_ids(vocabulary, 4)
    assert used.tolist() == [0, 1, 3]
    rows = LoadedEmbeddingMatrix(torch.tensor([[3.0, 4.0], [0.0, 2.0], [100.0, 100.0], [6.0, 8.0]]))
    found = row_statistics(rows, used)
    assert torch.allclose(found.mean, torch.tensor([3.0, 14 / 3]))
    assert found.median_norm == 5.0
    assert found.rms == pytest.approx((129 / 6) ** 0.5)
