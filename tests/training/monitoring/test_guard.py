"""Steps that go wrong: skipped, gone back from, given up."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted import killed_at
from safetensors.torch import load_file

from ekle.artifacts import Checkpoint
from ekle.errors import TrainingError
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.recipe.training import GuardSettings
from ekle.training.data.packing import Batches
from ekle.training.micro_batches import Passes
from ekle.training.monitoring.guard import Guard
from ekle.training.stage import Inputs, run

BATCH, ACCUMULATION, LENGTH = 2, 2, 40
A_STEP = BATCH * ACCUMULATION * LENGTH  # tokens
UNLIKELY = 148  # a token that the tiny model does not expect: 6.7 to 7.5 nats where others cost 6.4
SETTINGS: dict[str, Any] = {
    "steps": 12,
    "batch_size": BATCH,
    "gradient_accumulation": ACCUMULATION,
    "sequence_length": LENGTH,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "warmup": 0.0,
    "evaluate_steps": 12,
    "checkpoint_steps": 4,
    "log_steps": 1,
    "patience": 0,
    "precision": "fp32",
    "activation_checkpointing": False,
    "dora": {"rank": 2, "alpha": 2.0},
    "neftune": {"alpha": 0},  # in so small a model the noise alone moves the loss by a tenth of a nat
    "guard": {"window": 3, "bad_steps": 2, "spike_nats": 0.5, "spike_deviations": 3.0},
}


def train(inputs: Inputs, folder: Path, **changes: Any) -> Checkpoint:
    folder.mkdir(exist_ok=True)
    settings = make_recipe({"name": "test", "training": {**SETTINGS, **changes}})
    return run(settings, inputs, folder, silent())


@pytest.fixture
def nonsense(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Steps' worth of text, counted from 1, in which every next token is one that never comes."""
    bad: set[int] = set()
    original = Batches.__iter__

    def spoilt(self: Batches) -> Iterator[dict[str, Any]]:
        for batch in original(self):
            if math.ceil(sum(batch["cursor"]["read"].values()) / A_STEP) in bad:
                batch["labels"] = torch.full_like(batch["labels"], UNLIKELY)
            yield batch

    monkeypatch.setattr(Batches, "__iter__", spoilt)
    return bad


def test_a_spike_is_skipped_and_changes_nothing(inputs: Inputs, tmp_path: Path, nonsense: set[int]) -> None:
    nonsense.add(12)  # the last, which alone is saved though it went wrong
    checkpoint = train(inputs, tmp_path, checkpoint_steps=1, keep_checkpoints=99)
    skipped = [line for line in checkpoint.history if "skipped" in line]
    assert [line["step"] for line in skipped] == [12]
    assert "a spike above the usual" in skipped[0]["skipped"]
    before, after = (
        load_file(tmp_path / f"checkpoints/step-{step:06}/optimizer.safetensors") for step in (11, 12)
    )
    assert all(torch.equal(before[name], after[name]) for name in before if "momentum" in name)
    line = next(line for line in checkpoint.history if line["step"] == 12 and "tokens" in line)
    assert "loss_per_token" not in line, "the loss of a skipped step is no loss of the run"
    assert line["tokens"] == 12 * A_STEP, "its text is read all the same"


def test_a_step_without_a_finite_gradient_is_skipped_and_logged(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_gradients(monkeypatch, {5}, math.nan)
    checkpoint = train(inputs, tmp_path)
    skipped = [line for line in checkpoint.history if "skipped" in line]
    assert [(line["step"], line["skipped"]) for line in skipped] == [(5, "the norm of its gradient is nan")]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(checkpoint.rows).values())


def test_a_run_with_bad_steps_rolls_back_and_goes_on_with_other_text_and_half_the_rate(
    inputs: Inputs, tmp_path: Path, nonsense: set[int]
) -> None:
    nonsense.update({7, 8})
    history = train(inputs, tmp_path).history
    back = [line for line in history if "rolled_back_from" in line]
    assert [(line["step"], line["rolled_back_from"], line["rate_factor"]) for line in back] == [(5, 8, 0.5)]
    assert "spike" in back[0]["because"]
    lines = [line for line in history if "learning_rate" in line]
    assert [line["step"] for line in lines] == list(range(1, 13)), "the log forgets the way there"
    assert [line["learning_rate"] for line in lines] == [1e-3] * 4 + [5e-4] * 8
    assert [line["tokens"] // A_STEP for line in lines] == [1, 2, 3, 4, *range(9, 17)]


def test_weights_whose_steps_go_wrong_are_not_saved_to_roll_back_to(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_gradients(monkeypatch, {7, 8, 9}, math.nan)
    guarding = {**SETTINGS["guard"], "bad_steps": 3}
    history = train(inputs, tmp_path, guard=guarding, evaluate_steps=8).history
    back = [line for line in history if "rolled_back_from" in line]
    assert [(line["step"], line["rolled_back_from"]) for line in back] == [(5, 9)]


def test_a_checkpoint_that_falls_due_among_bad_steps_is_made_after_the_next_good_one(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_gradients(monkeypatch, {8}, math.nan)
    train(inputs, tmp_path, keep_checkpoints=9)
    made = sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*"))
    assert made == ["step-000000", "step-000004", "step-000009", "step-000012"]


def test_a_checkpoint_is_made_whenever_the_last_is_too_old(inputs: Inputs, tmp_path: Path) -> None:
    often = {"checkpoint_minutes": 1e-9, "checkpoint_steps": 999, "keep_checkpoints": 99}
    train(inputs, tmp_path, steps=3, evaluate_steps=99, **often)
    made = sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*"))
    assert made == [f"step-{step:06}" for step in range(4)]


def test_a_run_with_bad_steps_before_its_next_checkpoint_rolls_back_further(
    inputs: Inputs, tmp_path: Path, nonsense: set[int]
) -> None:
    nonsense.update({7, 8, 9, 10})
    history = train(inputs, tmp_path, keep_checkpoints=9).history
    back = [line for line in history if "rolled_back_from" in line]
    assert [(line["step"], line["rolled_back_from"], line["rate_factor"]) for line in back] == [(1, 6, 0.25)]
    made = sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*"))
    assert made == ["step-000000", *(f"step-{step:06}-back-2" for step in (4, 8, 12))]


@pytest.fixture(scope="module")
def whole_runs() -> dict[int, Checkpoint]:
    """Runs that nobody killed, by the number of their bad steps; filled by the tests."""
    return {}


@pytest.mark.parametrize(
    ("bad", "calls"),
    [({7, 8}, 11), ({7, 8}, 17), ({7, 8}, 22), ({7, 8}, 31), ({7, 8, 9, 10}, 21), ({7, 8, 9, 10}, 27)],
)
def test_a_run_killed_around_its_rollback_ends_the_same(
    inputs: Inputs,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    whole_runs: dict[int, Checkpoint],
    nonsense: set[int],
    bad: set[int],
    calls: int,
) -> None:
    nonsense.update(bad)
    if len(bad) not in whole_runs:
        whole_runs[len(bad)] = train(inputs, tmp_path_factory.mktemp("whole") / "run")
    whole = whole_runs[len(bad)]
    with killed_at(calls):
        train(inputs, tmp_path / "killed")
    again = train(inputs, tmp_path / "killed")
    for name in ("input", "output"):
        assert torch.equal(load_file(whole.rows)[name], load_file(again.rows)[name])
    timed = ("seconds", "tokens_per_second", "bytes_per_second", "memory_bytes", "memory_in_use")
    ours, theirs = (
        [{key: value for key, value in line.items() if key not in timed} for line in checkpoint.history]
        for checkpoint in (again, whole)
    )
    assert ours == theirs


def test_a_run_that_rolls_back_in_vain_is_given_up(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_gradients(monkeypatch, set(range(6, 99)), math.inf)
    with pytest.raises(TrainingError, match=r"after 3 rollbacks; lower training\.learning_rate"):
        train(inputs, tmp_path)
    assert (tmp_path / "checkpoints" / "step-000004").is_dir()


def test_a_model_that_gives_no_number_is_not_trained(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_gradients(monkeypatch, {1}, math.nan)
    with pytest.raises(TrainingError, match="not a finite number from the first step on"):
        train(inputs, tmp_path)


def spoil_gradients(monkeypatch: pytest.MonkeyPatch, steps: set[int], value: float) -> None:
    """Put `value` into the gradients of these steps, counted from 1 over all that are made."""
    original, made = Passes.accumulate, 0

    def spoilt(self: Passes, *args: Any, **kwargs: Any) -> torch.Tensor:
        nonlocal made
        made += 1
        loss = original(self, *args, **kwargs)
        if math.ceil(made / ACCUMULATION) in steps:
            next(p for p in self.objective.parameters() if p.grad is not None).grad.fill_(value)
        return loss

    monkeypatch.setattr(Passes, "accumulate", spoilt)


def guard(**settings: Any) -> Guard:
    return Guard(GuardSettings(**{"window": 5, **settings}), silent())


def test_a_loss_is_a_spike_only_beyond_both_bounds() -> None:
    calm = guard(spike_nats=0.5, spike_deviations=8.0)
    for step, loss in enumerate((3.0, 3.01, 2.99, 3.0, 3.02), start=1):
        assert calm.skip_reason(step, loss, 1.0) is None
    assert calm.skip_reason(6, 3.4, 1.0) is None, "many deviations, but less than half a nat"
    assert calm.skip_reason(7, 3.6, 1.0) is not None
    restless = guard(spike_nats=0.5, spike_deviations=8.0)
    for step, loss in enumerate((2.0, 3.0, 4.0, 3.2, 2.8), start=1):
        assert restless.skip_reason(step, loss, 1.0) is None
    assert restless.skip_reason(6, 4.5, 1.0) is None, "far above, but not for these losses"


def test_before_the_window_is_full_no_loss_is_too_high() -> None:
    fresh = guard()
    assert [fresh.skip_reason(step, loss, 1.0) for step, loss in ((1, 1.0), (2, 50.0))] == [None, None]
    assert fresh.skip_reason(3, math.nan, 1.0) == "its loss is nan"


def test_the_first_step_after_a_rollback_to_the_start_is_skipped_like_any_other() -> None:
    judge = guard(max_rollbacks=2)
    judge.roll_back(7, "its loss is nan")
    assert judge.skip_reason(1, math.nan, 1.0) == "its loss is nan"


def test_the_state_of_a_checkpoint_of_0_1_is_read() -> None:
    before, after = guard(), guard()
    before.roll_back(7, "its loss is nan")
    state = before.state_dict()
    after.load_state_dict({"returns": state.pop("rollbacks"), **state})
    assert after.state_dict() == before.state_dict()


def test_a_good_step_ends_the_row_of_bad_ones() -> None:
    judge = guard(bad_steps=2)
    for step, loss in ((1, 1.0), (2, math.nan), (3, 1.0), (4, math.nan)):
        judge.skip_reason(step, loss, 1.0)
        assert not judge.must_roll_back
    judge.skip_reason(5, math.inf, 1.0)
    assert judge.must_roll_back
