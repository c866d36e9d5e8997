"""The optimisers over adapters and new rows, and the learning-rate schedule."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen3ForCausalLM

from ekle.artifacts import ExtendedModel
from ekle.model.layers.dora import adapted_layers, attach
from ekle.model.layers.new_rows import NewRows, split_rows
from ekle.recipe.training import AdamWSettings, MuonSettings, TrainingSettings
from ekle.training.checkpoints import load_optimizer, save_optimizer
from ekle.training.optimizers.make import learning_rates, make_optimizer, rate_factor
from ekle.training.optimizers.muon import MuonAndAdamW

RATE, DECAY = 0.01, 0.1


def muon_over(matrix: nn.Parameter, vector: nn.Parameter, **settings: Any) -> MuonAndAdamW:
    groups = [{"params": [matrix], "lr": RATE, "weight_decay": DECAY}], [{"params": [vector], "lr": RATE}]
    return MuonAndAdamW(*groups, MuonSettings(**settings), AdamWSettings())


def gradients(steps: int, *shapes: tuple[int, ...]) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(5)
    return [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(steps)]


def orthogonal(matrix: Tensor) -> Tensor:
    """U V^T of the singular value decomposition: what the Newton-Schulz steps come near."""
    left, _, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    return (left @ right).float()


@pytest.mark.parametrize("shape", [(8, 96), (96, 8), (24, 24)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_a_step_of_muon_is_that_of_the_singular_values(shape: tuple[int, int], nesterov: bool) -> None:
    torch.manual_seed(0)
    matrix, vector = nn.Parameter(torch.randn(shape)), nn.Parameter(torch.randn(8))
    optimizer = muon_over(matrix, vector, nesterov=nesterov, momentum=0.9)
    momentum = torch.zeros(shape)
    for (gradient,) in gradients(4, shape):
        before = matrix.detach().clone()
        matrix.grad = gradient
        optimizer.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        wanted = orthogonal(0.9 * momentum + 0.1 * gradient if nesterov else momentum)
        moved = ((1 - RATE * DECAY) * before - matrix.detach()) / (0.2 * RATE * max(shape) ** 0.5)
        # Five steps leave singular values between about 0.7 and 1.2 in the directions of the exact ones.
        assert torch.linalg.svdvals(moved)[-1] > 0.6
        assert torch.linalg.svdvals(moved)[0] < 1.3
        assert (moved * wanted).sum() > 0.97 * moved.norm() * wanted.norm()
        # A coordinate moves as far as AdamW's do by the same rate, 0.2 times it.
        assert ((before - matrix) / RATE).square().mean().sqrt().item() == pytest.approx(0.2, rel=0.25)


def test_the_other_groups_move_as_under_adamw() -> None:
    torch.manual_seed(0)
    matrix, vector = nn.Parameter(torch.randn(8, 12)), nn.Parameter(torch.randn(8))
    alone = nn.Parameter(vector.detach().clone())
    optimizer = muon_over(matrix, vector)
    plain = torch.optim.AdamW([alone], lr=RATE, weight_decay=0.0)
    for first, second in gradients(5, (8, 12), (8,)):
        matrix.grad, vector.grad, alone.grad = first, second, second.clone()
        optimizer.step()
        plain.step()
    assert torch.equal(vector, alone)


def test_a_matrix_whose_gradient_is_zero_only_decays() -> None:
    """A has none in the first step, because B is 0."""
    matrix, vector = nn.Parameter(torch.ones(4, 6)), nn.Parameter(torch.ones(3))
    matrix.grad, vector.grad = torch.zeros(4, 6), None
    muon_over(matrix, vector).step()
    torch.testing.assert_close(matrix.detach(), torch.full((4, 6), 1 - RATE * DECAY))
    assert vector.tolist() == [1.0] * 3


def test_muon_makes_more_of_the_last_bit_of_a_gradient_than_adamw_does() -> None:
    """Its Newton-Schulz steps are made in bfloat16, to which a gradient is rounded before them."""

    def steps(gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Of Muon and of AdamW, from zero."""
        matrix, same = nn.Parameter(torch.zeros(128, 2048)), nn.Parameter(torch.zeros(128, 2048))
        matrix.grad = same.grad = gradient
        muon_over(matrix, nn.Parameter(torch.zeros(1))).step()
        torch.optim.AdamW([same], lr=RATE).step()
        return matrix.detach(), same.detach()

    ((gradient,),) = gradients(1, (128, 2048))
    others = steps(torch.nextafter(gradient, torch.tensor(torch.inf)))
    muon, adamw = (
        ((one - other).norm() / one.norm()).item() for one, other in zip(steps(gradient), others, strict=True)
    )
    assert adamw < 1e-6
    assert 1e-4 < muon < 1e-2


@pytest.fixture
def learning(tiny_extended: ExtendedModel) -> tuple[Qwen3ForCausalLM, NewRows]:
    model = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)
    rows = split_rows(model.requires_grad_(False), tiny_extended.first_new_id)
    attach(model, TrainingSettings().dora, generator=torch.Generator().manual_seed(0))
    return model, rows


@pytest.mark.parametrize("name", ["sophia", "adamw", "muon"])
def test_every_optimiser_has_the_same_three_groups(
    learning: tuple[Qwen3ForCausalLM, NewRows], name: Any
) -> None:
    model, rows = learning
    settings = TrainingSettings(optimizer=name, learning_rate=1e-3, rows_learning_rate=5e-3, weight_decay=0.2)
    optimizer = make_optimizer(model, rows, settings)
    found = {group["name"]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    assert found == {"matrices": (1e-3, 0.2), "magnitudes": (1e-3, 0.0), "rows": (5e-3, 0.0)}
    assert learning_rates(optimizer) == {"learning_rate": 1e-3, "rows_learning_rate": 5e-3}
    seen = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(p) for p in seen} == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(seen) == 3 * len(list(adapted_layers(model))) + len(list(rows.parameters()))


@pytest.mark.parametrize("name", ["sophia", "adamw", "muon"])
def test_a_saved_optimiser_goes_on_bit_for_bit(
    learning: tuple[Qwen3ForCausalLM, NewRows], tmp_path: Path, name: Any
) -> None:
    settings, steps = TrainingSettings(optimizer=name, schedule="constant"), 4
    drawn: dict[str, list[list[Tensor]]] = {}

    def go(model: nn.Module, optimizer: torch.optim.Optimizer, between: range) -> None:
        for step in between:
            for key, parameter in model.named_parameters():
                if parameter.requires_grad:
                    parameter.grad = drawn.setdefault(key, gradients(steps, parameter.shape))[step][0].clone()
            optimizer.step()

    whole, rows = learning
    half = copy.deepcopy(whole)
    half_rows = NewRows(half.get_input_embeddings().new, half.get_output_embeddings().new, rows.first_new_id)
    go(whole, make_optimizer(whole, rows, settings), range(steps))
    first = make_optimizer(half, half_rows, settings)
    go(half, first, range(2))
    save_optimizer(first, tmp_path)
    second = make_optimizer(half, half_rows, settings)
    load_optimizer(second, tmp_path)
    assert [{**group, "params": []} for group in second.param_groups] == [
        {**group, "params": []} for group in first.param_groups
    ]
    go(half, second, range(2, steps))
    assert all(
        torch.equal(one, other) for one, other in zip(whole.parameters(), half.parameters(), strict=True)
    )


def rates(steps: int, warmup: float, schedule: str) -> list[float]:
    return [rate_factor(step, steps, warmup, schedule) for step in range(steps)]  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_it_rises_in_equal_stages_and_every_step_moves(schedule: str) -> None:
    values = rates(100, 0.05, schedule)
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert min(values) > 0
    assert max(values) == 1


def test_the_shapes_after_the_rise() -> None:
    assert rates(100, 0.0, "constant") == [1.0] * 100
    assert rates(100, 0.0, "linear")[50] == pytest.approx(0.5)
    assert rates(100, 0.0, "cosine")[25] == pytest.approx(0.5 + 0.5 * math.cos(math.pi / 4))


def test_a_single_step_uses_the_full_rate() -> None:
    assert rates(1, 0.05, "cosine") == [1.0]
