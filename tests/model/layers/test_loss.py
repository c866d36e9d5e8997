"""The chunked loss against PyTorch's own, on full logits."""

import pytest
import torch
from allocations import Allocations, measured_peak
from torch import Tensor, nn
from torch.nn import functional

from ekle.model.layers.loss import (
    IGNORED,
    chunk_size,
    chunked_cross_entropy,
    sample_labels,
    weighted_cross_entropy,
)
from ekle.model.layers.new_rows import SplitHead

TOKENS, WIDTH, BASE, NEW = 50, 8, 40, 9


@pytest.fixture
def head() -> SplitHead:
    torch.manual_seed(1)
    base = nn.Parameter(torch.randn(BASE, WIDTH), requires_grad=False)
    return SplitHead(base, nn.Parameter(torch.randn(NEW, WIDTH)))


def some_states(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    labels = torch.randint(0, BASE + NEW, (TOKENS,))
    labels[::7] = IGNORED
    return torch.randn(TOKENS, WIDTH).to(dtype).requires_grad_(), labels


@pytest.mark.parametrize("chunk", [1, 7, TOKENS, 1000])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_value_and_gradients_equal_those_of_full_logits(head: SplitHead, chunk: int, reduction: str) -> None:
    hidden, labels = some_states()
    (3 * chunked_cross_entropy(hidden, head, labels, chunk, reduction)).backward()
    got = hidden.grad, head.new.grad
    hidden.grad = head.new.grad = None
    logits = hidden @ torch.cat([head.base, head.new]).T
    expected = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction=reduction)
    (3 * expected).backward()

    assert chunked_cross_entropy(hidden, head, labels, chunk, reduction).item() == pytest.approx(
        expected.item(), rel=1e-6
    )
    torch.testing.assert_close(got[0], hidden.grad)
    torch.testing.assert_close(got[1], head.new.grad)
    assert head.base.grad is None


def test_single_losses_equal_those_of_full_logits(head: SplitHead) -> None:
    hidden, labels = some_states()
    losses = chunked_cross_entropy(hidden, head, labels, 6, "none")
    expected = functional.cross_entropy(head(hidden), labels, ignore_index=IGNORED, reduction="none")
    torch.testing.assert_close(losses, expected.detach())
    assert not losses.requires_grad


def test_weights_scale_each_token(head: SplitHead) -> None:
    hidden, labels = some_states()
    weights = torch.rand(TOKENS)
    total, _ = weighted_cross_entropy(hidden, head, labels, weights, 6)
    total.backward()
    got = hidden.grad
    hidden.grad = None
    losses = functional.cross_entropy(head(hidden), labels, ignore_index=IGNORED, reduction="none")
    (losses * weights).sum().backward()
    torch.testing.assert_close(got, hidden.grad)


def test_tied_rows_get_the_gradient_of_both_ends(head: SplitHead) -> None:
    ids = torch.randint(BASE, BASE + NEW, (TOKENS,))
    labels = torch.randint(0, BASE + NEW, (TOKENS,))
    chunked_cross_entropy(head.new[ids - BASE], head, labels, 8).backward()
    got = head.new.grad.clone()
    head.new.grad = None
    functional.cross_entropy(head.new[ids - BASE] @ head.weight.T, labels).backward()
    torch.testing.assert_close(got, head.new.grad)


def test_a_plain_linear_head_learns_all_its_rows() -> None:
    torch.manual_seed(0)
    hidden, labels = some_states()
    linear = nn.Linear(WIDTH, BASE + NEW, bias=False)
    chunked_cross_entropy(hidden, linear, labels, 9).backward()
    got = linear.weight.grad.clone()
    linear.weight.grad = None
    functional.cross_entropy(linear(hidden), labels, ignore_index=IGNORED).backward()
    torch.testing.assert_close(got, linear.weight.grad)


def test_bfloat16_states_give_the_same_loss_within_their_rounding(head: SplitHead) -> None:
    hidden, labels = some_states(torch.bfloat16)
    loss = chunked_cross_entropy(hidden, head, labels, 8)
    loss.backward()
    full = hidden.detach().float().requires_grad_()
    rows = torch.cat([head.base, head.new.detach()])
    expected = functional.cross_entropy(full @ rows.T, labels, ignore_index=IGNORED)
    expected.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-2)
    torch.testing.assert_close(hidden.grad.float(), full.grad, atol=1e-3, rtol=0.05)
    assert head.new.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_full_logits_and_no_full_head_gradient_are_made(dtype: torch.dtype) -> None:
    rows, new, tokens, chunk = 20_000, 500, 2_000, 50
    torch.manual_seed(0)
    base = nn.Parameter(torch.randn(rows - new, WIDTH).to(dtype), requires_grad=False)
    head = SplitHead(base, nn.Parameter(torch.randn(new, WIDTH)))
    hidden = torch.randn(tokens, WIDTH).to(dtype).requires_grad_()
    labels = torch.randint(0, rows, (tokens,))
    # Logits of a chunk in float32, in bfloat16 the product they come from beside them.
    logits = chunk * rows * (4 if dtype == torch.float32 else 6)
    gradients = hidden.numel() * hidden.element_size() + 4 * head.new.numel()
    with measured_peak(head, hidden, labels) as peak, Allocations() as made:
        chunked_cross_entropy(hidden, head, labels, chunk).backward()
    assert made.largest == chunk * rows
    assert peak.bytes < 1.05 * logits + 2 * gradients
    assert peak.bytes < tokens * rows * 4 / 15, "of all logits in float32"
    assert head.base.grad is None


def test_the_peak_of_the_plain_loss_is_seen() -> None:
    """The measure itself: full logits and their gradient."""
    rows, tokens = 2_000, 300
    hidden, weight = torch.randn(tokens, WIDTH, requires_grad=True), torch.randn(rows, WIDTH)
    with measured_peak(hidden, weight) as peak, Allocations() as made:
        functional.cross_entropy(hidden @ weight.T, torch.zeros(tokens, dtype=torch.long)).backward()
    assert made.largest == tokens * rows
    assert peak.bytes >= 2 * tokens * rows * 4


def test_sampled_labels_follow_the_distribution_of_the_model(head: SplitHead) -> None:
    torch.manual_seed(3)
    state = torch.randn(1, WIDTH)
    points = torch.rand(40_000, generator=torch.Generator().manual_seed(4))
    drawn = sample_labels(state.expand(40_000, -1), head, 1_000, points)
    shares = torch.bincount(drawn, minlength=BASE + NEW) / len(drawn)
    expected = head(state).softmax(dim=1).squeeze(0).detach()
    assert (shares - expected).abs().max() < 0.01


def test_a_label_depends_on_its_own_point_alone(head: SplitHead) -> None:
    hidden, _ = some_states()
    points = torch.rand(len(hidden), generator=torch.Generator().manual_seed(5))
    together = sample_labels(hidden, head, 7, points)
    apart = [sample_labels(hidden[part], head, 7, points[part]) for part in (slice(0, 5), slice(5, None))]
    assert torch.equal(together, torch.cat(apart))


def test_a_chunk_shrinks_as_the_vocabulary_grows() -> None:
    cpu = torch.device("cpu")
    assert chunk_size(430, cpu) > chunk_size(171_936, cpu) >= 16
