"""The lines of the log reach the tracker that the recipe names."""

from pathlib import Path
from typing import Any

import pytest
from interrupted import killed_at
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from ekle.artifacts import Checkpoint
from ekle.errors import InputError
from ekle.pipeline.preflight import preflight
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.training.stage import Inputs, run

SETTINGS: dict[str, Any] = {
    "steps": 4,
    "batch_size": 1,
    "gradient_accumulation": 1,
    "sequence_length": 40,
    "evaluate_steps": 2,
    "checkpoint_steps": 2,
    "log_steps": 1,
    "precision": "fp32",
    "activation_checkpointing": False,
    "dora": {"rank": 2, "alpha": 2.0},
}


def train(inputs: Inputs, folder: Path, tracker: str) -> Checkpoint:
    recipe = make_recipe({"name": "test", "training": {**SETTINGS, "tracker": tracker}})
    return run(recipe, inputs, folder, silent())


def test_tensorboard_shows_the_log_and_goes_on_where_a_killed_run_goes_on(
    inputs: Inputs, tmp_path: Path
) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with killed_at(4):
        train(inputs, tmp_path, "tensorboard")
    history = train(inputs, tmp_path, "tensorboard").history
    shown = events.EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    for name in ("loss_per_token", "held_out_bits_per_byte", "update_to_weight_rows"):
        curve = [(point.step, point.value) for point in shown.Scalars(f"train/{name}")]
        written = [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in history if name in line]
        assert curve == written, "step 3 was logged twice, and stands there once"


def test_another_tracker_is_the_trainers_own_integration(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, Any]] = []

    class Fake(TrainerCallback):  # type: ignore[misc] # transformers ships no types
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            heard.append(logs)

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "swanlab", Fake)
    history = train(inputs, tmp_path, "swanlab").history
    assert [line for line in heard if "step" in line] == history


def test_a_tracker_that_is_not_installed_is_named_before_anything_starts(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekle.pipeline.preflight.find_spec", lambda name: None)
    recipe = make_recipe({"name": "test", "training": {"tracker": "wandb"}})
    with pytest.raises(InputError, match=r'tracker = "wandb" needs the package wandb: install it'):
        preflight(recipe, {"training"}, tmp_path)

    class Missing(TrainerCallback):  # type: ignore[misc] # transformers ships no types
        def __init__(self) -> None:
            raise RuntimeError("not installed")

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "wandb", Missing)
    with pytest.raises(InputError, match="needs the package wandb"):
        train(inputs, tmp_path, "wandb")
