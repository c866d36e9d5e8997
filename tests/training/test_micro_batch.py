"""What a run found out about memory stays with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from interrupted import killed_at
from torch import OutOfMemoryError, Tensor

from ekle.progress import Report, silent
from ekle.recipe import make_recipe
from ekle.training.objective import Objective
from ekle.training.stage import Inputs, run

SETTINGS: dict[str, Any] = {
    "steps": 6,
    "batch_size": 4,
    "gradient_accumulation": 2,
    "sequence_length": 40,
    "checkpoint_steps": 2,
    "precision": "fp32",
    "neftune": {"alpha": 0},
    "dora": {"rank": 2, "alpha": 2.0},
    "sophia": {"hessian_every": 3},
}


def small_device(patch: pytest.MonkeyPatch, sequences: int) -> None:
    """Memory runs out in every pass of more than so many sequences."""
    original = Objective.forward

    def forward(self: Objective, input_ids: Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(input_ids) > sequences:
            raise OutOfMemoryError("too small")
        return original(self, input_ids, *args, **kwargs)

    patch.setattr(Objective, "forward", forward)


def train(inputs: Inputs, folder: Path, report: Report | None = None, **changes: Any) -> list[bytes]:
    folder.mkdir(exist_ok=True)
    recipe = make_recipe({"name": "t", "training": SETTINGS | changes})
    made = run(recipe, inputs, folder, report or silent())
    return [made.rows.read_bytes(), (made.adapter / "adapter_model.safetensors").read_bytes()]


def test_a_resumed_run_does_not_ask_for_more_than_fitted(inputs: Inputs, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        small_device(patch, 2)
        whole = train(inputs, tmp_path / "whole")
        with killed_at(10):
            train(inputs, tmp_path / "again")
    progress = json.loads((tmp_path / "again/checkpoints/step-000004/progress.json").read_text("utf-8"))
    assert progress["at_once"] == 2
    again = train(inputs, tmp_path / "again", Report(events=events))  # on a device that could take four
    assert again == whole
    assert "out of memory" not in events.read_text("utf-8")


def test_how_many_go_through_at_once_may_change_between_two_attempts(inputs: Inputs, tmp_path: Path) -> None:
    with killed_at(10):
        train(inputs, tmp_path / "run")
    train(inputs, tmp_path / "run", micro_batch_size=1)
    last = tmp_path / "run/checkpoints/step-000006/progress.json"
    assert json.loads(last.read_text("utf-8"))["at_once"] == 1
