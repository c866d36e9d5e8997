"""The phase in which only the new rows learn: the adapters rest, and begin afresh after it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted import killed_at
from safetensors.torch import load_file

from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.training.micro_batches import Passes
from ekle.training.stage import Inputs, run

SETTINGS: dict[str, Any] = {
    "steps": 8,
    "rows_first": 0.5,
    "batch_size": 2,
    "gradient_accumulation": 1,
    "sequence_length": 32,
    "learning_rate": 1e-3,
    "evaluate_steps": 100,
    "checkpoint_steps": 1,
    "keep_checkpoints": 99,
    "precision": "fp32",
    "activation_checkpointing": False,
    "dora": {"rank": 2, "alpha": 2.0},
    "sophia": {"hessian_every": 3, "betas": [0.9, 0.8]},
}

SEQUENCES = 2  # a step


def train(inputs: Inputs, folder: Path, **changes: Any) -> None:
    folder.mkdir(exist_ok=True)
    recipe = make_recipe({"name": "test", "training": {**SETTINGS, **changes}})
    run(recipe, inputs, folder, silent())


def optimizer_at(folder: Path, step: int) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The optimiser's tensors by place and name, and its groups by name, after `step` steps."""
    checkpoint = folder / "checkpoints" / f"step-{step:06}"
    groups = json.loads((checkpoint / "optimizer.json").read_text("utf-8"))["groups"]
    return load_file(checkpoint / "optimizer.safetensors"), {group["name"]: group for group in groups}


@pytest.mark.parametrize("optimizer", ["sophia", "adamw", "muon"])
def test_no_optimiser_keeps_anything_of_resting_adapters(
    inputs: Inputs, tmp_path: Path, optimizer: str
) -> None:
    train(inputs, tmp_path, optimizer=optimizer)
    state, groups = optimizer_at(tmp_path, 4)
    rows = {str(place) for place in groups["rows"]["params"]}
    assert {name.partition(".")[0] for name in state} == rows
    later, _ = optimizer_at(tmp_path, 5)
    everything = {str(place) for group in groups.values() for place in group["params"]}
    assert {name.partition(".")[0] for name in later} == everything


def test_the_adapters_get_an_estimate_before_their_first_step(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimated: list[int] = []
    original = Passes.estimate_curvature

    def seen(self: Passes, batch: Any, *rest: Any) -> None:
        estimated.append(batch["numbers"][0] // SEQUENCES)
        original(self, batch, *rest)

    monkeypatch.setattr(Passes, "estimate_curvature", seen)
    train(inputs, tmp_path, optimizer="sophia")
    assert estimated == [0, 3, 4, 6]
    counted = [
        {name: group["estimates"] for name, group in optimizer_at(tmp_path, step)[1].items()}
        for step in (4, 5, 7)
    ]
    assert counted[0] == {"matrices": 0, "magnitudes": 0, "rows": 2}
    assert counted[1] == {"matrices": 1, "magnitudes": 1, "rows": 3}
    assert counted[2] == {"matrices": 2, "magnitudes": 2, "rows": 4}


def test_their_first_estimate_is_that_of_a_run_without_the_phase(inputs: Inputs, tmp_path: Path) -> None:
    """With rows that do not move, a run that begins at the phase's end has the same curvature."""
    frozen = {"optimizer": "sophia", "rows_learning_rate": 1e-30, "learning_rate": 1e-30, "steps": 2}
    train(inputs, tmp_path / "phase", **frozen, sophia={"hessian_every": 1})
    state, groups = optimizer_at(tmp_path / "phase", 2)
    train(inputs, tmp_path / "none", **{**frozen, "rows_first": 0.0}, sophia={"hessian_every": 1})
    both, _ = optimizer_at(tmp_path / "none", 2)
    first, _ = optimizer_at(tmp_path / "none", 1)
    for place in groups["magnitudes"]["params"]:
        name = f"{place}.curvature"
        # c2 = b2 c1 + (1 - b2) h2, so that (1 - b2) h2 is what the second estimate alone gives.
        torch.testing.assert_close(state[name], both[name] - 0.99 * first[name], rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("optimizer", ["sophia", "muon"])
def test_a_run_killed_in_the_phase_goes_on_exactly(inputs: Inputs, tmp_path: Path, optimizer: str) -> None:
    train(inputs, tmp_path / "whole", optimizer=optimizer)
    with killed_at(3):  # one batch a step
        train(inputs, tmp_path / "killed", optimizer=optimizer)
    train(inputs, tmp_path / "killed", optimizer=optimizer)
    ours, theirs = optimizer_at(tmp_path / "killed", 8), optimizer_at(tmp_path / "whole", 8)
    assert ours[1] == theirs[1]
    assert ours[0].keys() == theirs[0].keys()
    assert all(torch.equal(tensor, theirs[0][name]) for name, tensor in ours[0].items())
