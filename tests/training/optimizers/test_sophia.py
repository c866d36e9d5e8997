"""Sophia-G against its algorithm written out, and its estimate against the true curvature."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ekle.artifacts import Corpus, ExtendedModel
from ekle.model.layers.loss import chunked_cross_entropy, sample_labels
from ekle.progress import ProgressReporter
from ekle.recipe import make_recipe
from ekle.training.optimizers.sophia import Sophia
from ekle.training.stage import Inputs, run


def one_parameter(values: list[float]) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def written_out(
    start: float, gradients: list[float], estimates: dict[int, float], settings: dict[str, Any]
) -> float:
    """Algorithm 3 of the paper for one coordinate, with plain numbers."""
    weight, momentum, curvature, count = start, 0.0, 0.0, 0
    b1, b2 = settings["betas"]
    for step, gradient in enumerate(gradients):
        if step in estimates:
            curvature = b2 * curvature + (1 - b2) * estimates[step]
            count += 1
        momentum = b1 * momentum + (1 - b1) * gradient
        weight -= settings["lr"] * settings["weight_decay"] * weight
        seen = curvature / (1 - b2**count) if settings["bias_correction"] and count else curvature
        ratio = momentum / max(settings["rho"] * seen, settings["epsilon"])
        weight -= settings["lr"] * max(-1.0, min(1.0, ratio))
    return weight


@pytest.mark.parametrize("bias_correction", [True, False])
def test_steps_are_those_of_the_algorithm(bias_correction: bool) -> None:
    settings = {
        "lr": 0.1,
        "betas": (0.9, 0.8),
        "rho": 0.5,
        "weight_decay": 0.05,
        "epsilon": 1e-12,
        "bias_correction": bias_correction,
    }
    gradients, samples, tokens = [0.3, -0.1, 0.25, 0.02, -0.4], {0: 0.7, 2: -0.4}, 3
    parameter = one_parameter([1.5])
    sophia = Sophia([parameter], **settings)
    for step, gradient in enumerate(gradients):
        if step in samples:
            parameter.grad = torch.tensor([samples[step]], dtype=torch.float64)
            sophia.update_curvature(tokens)
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        sophia.step()
    estimates = {step: tokens * value**2 for step, value in samples.items()}
    assert parameter.item() == pytest.approx(written_out(1.5, gradients, estimates, settings), abs=1e-12)


def test_no_coordinate_moves_further_than_the_learning_rate() -> None:
    parameter = one_parameter([0.0, 0.0])
    sophia = Sophia([parameter], lr=0.01)
    parameter.grad = torch.tensor([1e9, -1e-3], dtype=torch.float64)
    sophia.step()
    assert parameter.tolist() == [-0.01, 0.01]
    assert sophia.counts.tolist() == [2, 2]


def test_the_clipped_share_counts_coordinates() -> None:
    parameter = one_parameter([0.0] * 4)
    sophia = Sophia([parameter], lr=0.1, betas=(0.0, 0.0), rho=1.0)
    parameter.grad = torch.tensor([1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    sophia.update_curvature(1)  # curvature 1, so that a gradient below 1 is not clipped
    parameter.grad = torch.tensor([0.5, 2.0, -0.5, 0.25], dtype=torch.float64)
    sophia.step()
    assert sophia.counts.tolist() == [1, 4]
    assert parameter.tolist() == pytest.approx([-0.05, -0.1, 0.05, -0.025])


def test_without_correction_the_first_estimate_counts_for_a_hundredth() -> None:
    shares = {}
    for correction in (True, False):
        parameter = one_parameter([0.0])
        sophia = Sophia([parameter], lr=1.0, betas=(0.0, 0.99), rho=1.0, bias_correction=correction)
        parameter.grad = torch.tensor([1.0], dtype=torch.float64)
        sophia.update_curvature(1)
        parameter.grad = torch.tensor([0.005], dtype=torch.float64)
        sophia.step()
        shares[correction] = -parameter.item()
    assert shares[True] == pytest.approx(0.005)
    assert shares[False] == pytest.approx(0.5)


def test_a_row_that_is_not_seen_does_not_drift() -> None:
    """Sign updates on dying momentum would move it by the learning rate in every step."""
    drift = {}
    for sparse in (True, False):
        rows = nn.Parameter(torch.zeros(3, 2))
        sophia = Sophia([{"params": [rows], "sparse": sparse, "weight_decay": 0.5}], lr=0.01)
        for step in range(50):
            rows.grad = torch.zeros(3, 2)
            rows.grad[1] = 1.0  # seen in every step
            if step == 0:
                rows.grad[0] = 1e-3  # seen once
            sophia.step()
        drift[sparse] = rows.detach().clone()
    assert drift[True][0].tolist() == pytest.approx([-0.01, -0.01])
    assert drift[True][2].tolist() == [0.0, 0.0]
    assert drift[False][0, 0] < -0.3
    assert torch.equal(drift[True][1], drift[False][1])


def test_a_parameter_without_gradient_stays() -> None:
    parameter = one_parameter([1.0])
    Sophia([parameter], lr=0.1, weight_decay=0.5).step()
    assert parameter.item() == 1.0


class Head(nn.Module):
    """A softmax regression, whose Gauss-Newton matrix is known in closed form."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)


def test_the_estimate_is_the_diagonal_of_the_gauss_newton_matrix() -> None:
    torch.manual_seed(0)
    tokens, width, classes = 6, 3, 5
    states, head = torch.randn(tokens, width), Head(torch.randn(classes, width))
    probability = (states @ head.weight.T).softmax(dim=1).detach()
    # d2 loss / d W_cj2 of the mean loss: mean over tokens of p_c (1 - p_c) x_j^2
    expected = ((probability * (1 - probability)).T @ states**2) / tokens

    sophia = Sophia([head.weight], lr=0.1, betas=(0.9, 0.0), bias_correction=False)
    generator, rounds = torch.Generator().manual_seed(1), 20_000
    summed = torch.zeros_like(expected)
    labels = torch.stack(
        [sample_labels(states, head, tokens, torch.rand(tokens, generator=generator)) for _ in range(rounds)]
    )
    for drawn in labels[:50]:  # through the real path
        head.weight.grad = None
        chunked_cross_entropy(states, head, drawn, 4).backward()
        sophia.update_curvature(tokens)
        residual = probability.clone()
        residual[torch.arange(tokens), drawn] -= 1
        gradient = residual.T @ states / tokens
        torch.testing.assert_close(sophia.state[head.weight]["curvature"], tokens * gradient**2)
    for drawn in labels:  # the same in closed form, often enough for the mean to settle
        residual = probability.clone()
        residual[torch.arange(tokens), drawn] -= 1
        summed += tokens * (residual.T @ states / tokens) ** 2
    torch.testing.assert_close(summed / rounds, expected, atol=0.02, rtol=0.05)


def test_state_survives_its_dictionary() -> None:
    def steps(sophia: Sophia, parameter: nn.Parameter, values: list[float]) -> None:
        for value in values:
            parameter.grad = torch.tensor([value, -value], dtype=torch.float64)
            sophia.update_curvature(2)
            sophia.step()

    whole, half, rest = (one_parameter([0.3, 0.4]) for _ in range(3))
    first, second = Sophia([whole], lr=0.01), Sophia([half], lr=0.01)
    steps(first, whole, [0.1, 0.2, 0.3, 0.4])
    steps(second, half, [0.1, 0.2])
    rest.data.copy_(half.data)
    third = Sophia([rest], lr=0.01)
    third.load_state_dict(second.state_dict())
    steps(third, rest, [0.3, 0.4])
    assert torch.equal(whole, rest)


def test_a_state_in_half_precision_follows_small_changes() -> None:
    """Rounded to the nearest, an average that moves by less than its step would stand still for ever."""
    exact = nn.Parameter(torch.zeros(4096))
    half = nn.Parameter(torch.zeros(4096))
    nearest = torch.zeros(4096, dtype=torch.bfloat16)
    optimizers = Sophia([exact], lr=0.0), Sophia([half], lr=0.0, state_dtype=torch.bfloat16)
    for size in (1.0, *[0.9] * 60):
        for parameter, optimizer in zip((exact, half), optimizers, strict=True):
            parameter.grad = torch.full((4096,), size)
            optimizer.update_curvature(1)
            optimizer.step()
        nearest.mul_(0.99).add_(0.01 * size**2)
    for name in ("momentum", "curvature"):
        kept = optimizers[1].state[half][name]
        assert kept.dtype == torch.bfloat16
        wanted = optimizers[0].state[exact][name]
        assert kept.float().mean().item() == pytest.approx(wanted.mean().item(), rel=2e-3)
    assert nearest.float().mean().item() != pytest.approx(wanted.mean().item(), rel=2e-2)


def test_a_value_that_half_precision_has_is_not_rounded_away() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    sophia = Sophia([parameter], lr=0.0, betas=(0.5, 0.5), state_dtype=torch.bfloat16)
    parameter.grad = torch.tensor([2.0, -0.5, 0.0])
    sophia.step()
    assert sophia.state[parameter]["momentum"].tolist() == [1.0, -0.25, 0.0]


def test_a_state_in_half_precision_survives_its_dictionary() -> None:
    def steps(sophia: Sophia, parameter: nn.Parameter, values: list[float]) -> None:
        for value in values:
            parameter.grad = torch.full((50,), value)
            sophia.update_curvature(2)
            sophia.step()

    whole, half = nn.Parameter(torch.ones(50)), nn.Parameter(torch.ones(50))
    first, second = (Sophia([each], lr=0.01, state_dtype=torch.bfloat16) for each in (whole, half))
    steps(first, whole, [0.1, 0.23, -0.3, 0.41])
    steps(second, half, [0.1, 0.23])
    rest = nn.Parameter(half.detach().clone())
    third = Sophia([rest], lr=0.01, state_dtype=torch.bfloat16)
    third.load_state_dict(second.state_dict())
    steps(third, rest, [-0.3, 0.41])
    assert torch.equal(whole, rest)
    assert third.state[rest]["momentum"].dtype == torch.bfloat16
    assert torch.equal(first.state[whole]["momentum"], third.state[rest]["momentum"])


@pytest.mark.parametrize(("rho", "alarms"), [(1e-6, 1), (1e3, 0)])
def test_a_run_that_clips_nearly_everything_says_so_once(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, rho: float, alarms: int
) -> None:
    settings = {
        "steps": 5,
        "batch_size": 2,
        "gradient_accumulation": 1,
        "sequence_length": 32,
        "learning_rate": 1e-4,
        "precision": "fp32",
        "log_steps": 1,
        "evaluate_steps": 100,
        "activation_checkpointing": False,
        "dora": {"rank": 2, "alpha": 2.0},
        "sophia": {"rho": rho, "hessian_every": 1},
    }
    reporter = ProgressReporter(events=tmp_path / "events.jsonl")
    (tmp_path / "run").mkdir()
    inputs = Inputs(tiny_corpus, tiny_extended)
    history = run(
        make_recipe({"name": "test", "training": settings}), inputs, tmp_path / "run", reporter
    ).history
    shares = [line["clipped_share"] for line in history if "clipped_share" in line]
    assert len(shares) == 5
    said = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text("utf-8").splitlines()]
    warned = [event["text"] for event in said if "Sophia clips" in event.get("text", "")]
    assert len(warned) == alarms
    if alarms:
        assert min(shares[1:]) > 0.95, "the first step has no gradient for A, because B is 0"
        assert "training.sophia.rho" in warned[0]
