"""What a run of hours must withstand, on the tiny model: leaks, every switch at once, broken checkpoints."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from interrupted import assert_same, killed_at
from safetensors.torch import load_file

from ekle.artifacts import Checkpoint, Corpus, ExtendedModel
from ekle.cli import main
from ekle.errors import TrainingError
from ekle.progress import ProgressReporter, silent
from ekle.recipe import make_recipe
from ekle.training.data.packing import Batches
from ekle.training.monitoring import memory_leak as memory
from ekle.training.monitoring.memory_leak import Reading
from ekle.training.stage import Inputs, run

SETTINGS: dict[str, Any] = {
    "steps": 8,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "sequence_length": 40,
    "learning_rate": 3e-3,
    "evaluate_steps": 8,
    "checkpoint_steps": 2,
    "log_steps": 1,
    "patience": 0,
    "precision": "fp32",
    "activation_checkpointing": False,
    "dora": {"rank": 2, "alpha": 2.0},
}
EVERY_SWITCH: dict[str, Any] = {
    "merge_dropout": 0.3,
    "rows_first": 0.3,
    "replay_share": 0.3,
    "rows_learning_rate": 6e-3,
    "activation_checkpointing": True,
    "log_steps": 3,
    "evaluate_steps": 5,
    "alignment": {"steps": 2, "batch_tokens": 256, "learn": "rows_and_adapters"},
    "curriculum": {"pacing": "root", "start": 0.2, "share": 0.7},
}


def train(
    inputs: Inputs, folder: Path, reporter: ProgressReporter | None = None, **changes: Any
) -> Checkpoint:
    folder.mkdir(exist_ok=True)
    recipe = make_recipe({"name": "test", "training": {**SETTINGS, **changes}})
    return run(recipe, inputs, folder, reporter or silent())


def test_with_every_switch_on_a_run_goes_on_exactly(inputs: Inputs, tmp_path: Path) -> None:
    train(inputs, tmp_path / "whole", **EVERY_SWITCH)
    for calls in (2, 7, 9):  # in the phase of the rows, and twice after an odd step
        with killed_at(calls):
            train(inputs, tmp_path / "killed", **EVERY_SWITCH)
    train(inputs, tmp_path / "killed", **EVERY_SWITCH)
    assert_same(tmp_path / "killed", tmp_path / "whole")
    lists = [(tmp_path / name / "new_tokens.jsonl").read_bytes() for name in ("killed", "whole")]
    assert lists[0] == lists[1]


def test_a_leak_stops_the_run_after_saving_and_a_fresh_process_goes_on(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(inputs, tmp_path / "whole", memory_lines=3)
    numbers: Iterator[int] = iter(range(1, 99))

    def leaking(device: torch.device) -> Reading:
        gigabytes = next(numbers) * 10**9
        return Reading(gigabytes, gigabytes, 7 * 10**9 - gigabytes)

    reporter = ProgressReporter(events=tmp_path / "events.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(memory.LeakDetector.__init__, "__defaults__", (leaking, None, False))
        with pytest.raises(
            TrainingError, match=r"grows by 1,000\.00 MB per step.*after saving step 5, run again"
        ):
            train(inputs, tmp_path / "leaking", reporter, memory_lines=3)
    assert "will have to stop before its end" in (tmp_path / "events.jsonl").read_text("utf-8")
    assert not (tmp_path / "leaking" / "training.json").exists()
    train(inputs, tmp_path / "leaking", memory_lines=3)
    for name in ("adapter/adapter_model.safetensors", "new_rows.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("leaking", "whole"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_the_log_says_how_often_new_tokens_were_read_and_how_far_a_step_moves(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[int] = Counter()
    original = Batches.__iter__

    def counting(self: Batches) -> Iterator[dict[str, Any]]:
        for batch in original(self):
            read.update(batch["input_ids"].flatten().tolist())
            yield batch

    monkeypatch.setattr(Batches, "__iter__", counting)
    checkpoint = train(inputs, tmp_path)
    lines = (tmp_path / "new_tokens.jsonl").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["id"] for entry in entries] == list(range(410, 430))
    assert {entry["id"]: entry["seen"] for entry in entries} == {
        number: read[number] for number in range(410, 430)
    }
    assert all(entry["text"] for entry in entries)
    log = [line for line in checkpoint.history if "loss_per_token" in line]
    shares = [line["new_tokens_seen_1"] for line in log]
    assert shares == sorted(shares)
    assert log[-1]["new_tokens_seen_10"] == sum(entry["seen"] >= 10 for entry in entries) / 20
    near = [line["new_rows_near_start"] for line in log]
    assert all(still + seen > 1 - 1e-9 for still, seen in zip(near, shares, strict=True)), (
        "what is unseen stays"
    )
    assert near[0] > near[-1]
    summary = json.loads((tmp_path / "training.json").read_text("utf-8"))["new_tokens"]
    assert summary["new_tokens_seen_1"] == shares[-1]
    for group in ("matrices", "magnitudes", "rows"):
        assert 0 < log[3][f"update_to_weight_{group}"] < 0.5


@pytest.fixture(scope="module")
def half_way(
    tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Corpus, _extended_models: dict[bool, ExtendedModel]
) -> Path:
    """A run that was stopped at its last step but one."""
    folder = tmp_path_factory.mktemp("half-way")
    with killed_at(4):
        train(Inputs(tiny_corpus, _extended_models[False]), folder, steps=2, evaluate_steps=1)
    return folder


PIECES = [
    "progress.json",
    "optimizer.json",
    "optimizer.safetensors",
    "random.safetensors",
    "new_rows.safetensors",
    "new_tokens.safetensors",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
]


@pytest.fixture
def refused(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., None]:
    """Assert that `ekle train` over a folder ends with code 2 and one line that holds all the words."""

    def check(folder: Path, changes: dict[str, Any], *words: str) -> None:
        before = sorted(path for path in folder.rglob("*") if path.suffix != ".jsonl")
        monkeypatch.setattr("ekle.pipeline.run.run", lambda *_, **__: train(inputs, folder, **changes))
        assert main(["train", "quickstart"]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        for word in words:
            assert word in lines[0]
        after = sorted(path for path in folder.rglob("*") if path.suffix != ".jsonl")
        assert after == before, "nothing half written"

    return check


@pytest.mark.parametrize("damage", ["missing", "cut short"])
@pytest.mark.parametrize("piece", PIECES)
def test_a_damaged_piece_of_a_checkpoint_is_one_line_that_names_it(
    tmp_path: Path, half_way: Path, refused: Callable[..., None], piece: str, damage: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half_way, folder)
    path = folder / "checkpoints" / "step-000001" / piece
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    refused(
        folder,
        {"steps": 2, "evaluate_steps": 1},
        "step-000001",
        "training goes on from the checkpoint before",
    )


def test_changed_settings_are_one_line_that_names_every_one(
    tmp_path: Path, half_way: Path, refused: Callable[..., None]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half_way, folder)
    changes = {"steps": 2, "evaluate_steps": 1, "learning_rate": 1e-4, "guard": {"window": 9}}
    refused(
        folder, changes, "training.learning_rate 0.003 -> 0.0001", "training.guard.window 50 -> 9", "--redo"
    )


def test_no_room_for_the_next_checkpoint_is_one_line_before_anything_is_written(
    tmp_path: Path, half_way: Path, refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half_way, folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))
    refused(folder, {"steps": 2, "evaluate_steps": 1}, "a checkpoint takes", "has room for", "free some")


def test_a_corpus_shorter_than_one_batch_is_one_line(tmp_path: Path, refused: Callable[..., None]) -> None:
    (tmp_path / "run").mkdir()
    refused(tmp_path / "run", {"batch_size": 500}, "tokens but one step takes")
