"""The training log, the figures of its lines, early stopping, and trackers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted import killed_at
from torch import nn
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from ekle.artifacts import Checkpoint
from ekle.errors import InputError
from ekle.pipeline.preflight import preflight
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.training.monitoring.guard import Guard
from ekle.training.monitoring.held_out import EarlyStopping
from ekle.training.monitoring.log_line import UpdateRatio
from ekle.training.monitoring.meter import Meter
from ekle.training.monitoring.training_log import TrainingLog
from ekle.training.objective import Tally
from ekle.training.stage import Inputs, run


def test_what_was_logged_after_a_checkpoint_is_forgotten(tmp_path: Path) -> None:
    history = TrainingLog(tmp_path / "history.jsonl")
    for step in (1, 2, 3, 4):
        history.append({"step": step})
    with history.path.open("a", encoding="utf-8") as handle:
        handle.write('{"step": 5, "lo')  # cut short by a kill
    history.truncate(2)
    history.append({"step": 3})
    lines = history.path.read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


def test_a_history_that_is_not_there_is_empty(tmp_path: Path) -> None:
    history = TrainingLog(tmp_path / "history.jsonl")
    history.truncate(-1)
    assert history.path.read_text("utf-8") == ""


def test_patience_counts_evaluations_since_the_best() -> None:
    early_stopping = EarlyStopping(patience=2)
    seen = [early_stopping.record(step, value) for step, value in enumerate([3.0, 2.0, 2.5, 2.0])]
    assert seen == [True, True, False, False]
    assert (early_stopping.best, early_stopping.best_step) == (2.0, 1)
    assert early_stopping.is_over
    assert not EarlyStopping(patience=0, waited=99).is_over


def tally(nats: float, tokens: int, text_nats: float, text_bytes: int) -> Tally:
    return Tally(*(torch.tensor(value) for value in (nats, tokens, text_nats, text_bytes, tokens)))


def test_figures_are_those_of_the_steps_since_the_last_reading() -> None:
    meter = Meter(torch.device("cpu"))
    for part in (tally(8.0, 4, 6.0, 10), tally(2.0, 4, 2.0, 6)):
        meter.begin_step()
        meter.add(tally(99.0, 99, 99.0, 99))
        meter.discard_step()  # out of memory; the step is repeated
        meter.add(part)
        meter.end_step(counts=True)
    meter.begin_step()
    meter.add(tally(float("nan"), 4, float("nan"), 8))
    meter.end_step(counts=False)  # skipped
    figures = meter.read(lambda values: values)
    assert figures["loss_per_token"] == pytest.approx(10 / 8)
    assert figures["bits_per_byte"] == pytest.approx(8 / 16 / 0.6931472)
    assert "loss_per_token" not in meter.read(lambda values: values)


def test_the_sums_of_half_a_line_lie_in_a_checkpoint() -> None:
    whole, first, second = (Meter(torch.device("cpu")) for _ in range(3))
    for part in (tally(1 / 3, 4, 0.1, 10), tally(2.7, 4, 0.2, 6)):
        for meter in (whole, first):
            meter.begin_step()
            meter.add(part)
            meter.end_step(counts=True)
        if meter is first:
            second.load_state_dict(json.loads(json.dumps(first.state_dict())))
            first = second
    figures = [meter.read(lambda values: values) for meter in (whole, second)]
    for name in ("loss_per_token", "bits_per_byte"):
        assert figures[0][name] == figures[1][name], "to the last bit"


def test_the_ratio_is_that_of_the_lengths_of_each_group() -> None:
    first, second = nn.Parameter(torch.full((4,), 2.0)), nn.Parameter(torch.full((2, 2), 3.0))
    zero = nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([first, second, zero], lr=0.1)
    movement = UpdateRatio(
        {"a": [first, second], "b": [zero]}, lambda sums: 2 * sums
    )  # as of two processes that hold the same
    movement.begin()
    first.grad, second.grad, zero.grad = torch.ones(4), torch.zeros(2, 2), torch.ones(3)
    optimizer.step()
    figures = movement.figures()
    assert figures == {"update_to_weight_a": pytest.approx((4 * 0.1**2 / (4 * 4 + 4 * 9)) ** 0.5, rel=1e-6)}


def test_a_large_parameter_is_sampled_evenly() -> None:
    large = nn.Parameter(torch.ones(10_000))
    movement = UpdateRatio({"a": [large]}, lambda sums: sums)
    movement.begin()
    with torch.no_grad():
        large[::2] += 0.5
    assert movement.figures()["update_to_weight_a"] == pytest.approx(0.5**1.5, rel=0.02)


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


def test_another_tracker_is_an_integration_of_transformers(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets every line under the line's own step, skipped ones too, between a beginning and an end."""
    events: list[Any] = []
    lines: list[dict[str, Any]] = []

    class Fake(TrainerCallback):  # type: ignore[misc] # transformers ships no types
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            events.append(("begin", args.max_steps, json.loads(args.to_json_string())["learning_rate"]))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            events.append(state.global_step)
            lines.append(logs)

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            events.append("end")

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "swanlab", Fake)
    monkeypatch.setattr(Guard, "skip_reason", lambda _, step, *rest: "for a test" if step == 3 else None)
    history = train(inputs, tmp_path, "swanlab").history
    assert lines == history
    assert events == [("begin", 4, 1e-4), *(line["step"] for line in history), "end"]
    assert [line["step"] for line in lines if "skipped" in line] == [3]


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
