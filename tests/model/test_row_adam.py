"""Adam a row: the plain one where every row is used, and no movement where a row is not."""

import torch

from ekle.model.row_adam import RowAdam


def test_rows_that_are_always_used_move_as_under_plain_adam() -> None:
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=draw)
    plain = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([plain], lr=0.1, betas=(0.9, 0.95), eps=1e-12)
    rows = start.clone()
    ours = RowAdam(rows)
    for _ in range(7):
        plain.grad = torch.randn(5, 3, generator=draw)
        ours.step(plain.grad, torch.arange(5), 0.1)
        optimizer.step()
    assert torch.allclose(rows, plain.detach(), atol=1e-6)


def test_a_row_that_is_not_used_stays_and_its_first_step_has_full_length() -> None:
    rows = torch.zeros(2, 3)
    ours = RowAdam(rows)
    for _ in range(5):
        ours.step(torch.ones(2, 3), torch.tensor([0]), 0.1)
    assert torch.equal(rows[1], torch.zeros(3))
    ours.step(torch.ones(2, 3), torch.tensor([1]), 0.1)
    assert torch.allclose(rows[1], torch.full((3,), -0.1))
