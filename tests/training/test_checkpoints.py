"""Checkpoint folders on disk."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from ekle.errors import CheckpointError, SpaceError
from ekle.training.checkpoints import (
    Checkpoints,
    Write,
    load_optimizer,
    load_progress,
    load_random_state,
    save_optimizer,
    save_random_state,
    step_of,
)


def progress(best_step: int | None) -> Write:
    def write(folder: Path) -> None:
        (folder / "progress.json").write_text(json.dumps({"watch": {"best_step": best_step}}), "utf-8")

    return write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "weights").write_text("half", "utf-8")
        raise KeyboardInterrupt

    kept = Checkpoints(tmp_path, 2)
    kept.save(1, progress(None), 0, None)
    with pytest.raises(KeyboardInterrupt):
        kept.save(2, fail, 0, None)
    assert names(tmp_path) == ["step-000001"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".step-000005.partial").mkdir()
    (tmp_path / ".step-000005.partial" / "weights").write_text("half", "utf-8")
    kept = Checkpoints(tmp_path, 2)
    assert kept.last() is None
    kept.clean()
    assert names(tmp_path) == []


def test_the_oldest_go_and_the_best_of_those_that_stay_stays(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, 2)
    for step, best in ((10, 10), (20, 10), (30, 30), (40, 30), (50, 30)):
        if step == best:
            kept.save_best(step, progress(best), 0)
        kept.save(step, progress(best), 0, best)
    assert names(tmp_path) == ["best-000030", "step-000040", "step-000050"]
    assert kept.last() == tmp_path / "step-000050"
    assert kept.best(30) == tmp_path / "best-000030"


def test_new_best_weights_do_not_remove_those_a_resume_would_need(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, 1)
    kept.save_best(10, progress(10), 0)
    kept.save(20, progress(10), 0, 10)
    kept.save_best(30, progress(30), 0)  # and here the process is killed
    assert names(tmp_path) == ["best-000010", "best-000030", "step-000020"]


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, 9)
    for step in (999_999, 1_000_000, 5):
        kept.save(step, progress(None), 0, None)
    last = kept.last()
    assert last is not None
    assert step_of(last) == 1_000_000


def test_what_is_written_after_a_rollback_is_newer_whatever_its_step(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, 3)
    for step in (0, 4, 8):
        kept.save(step, progress(None), 0, None)
    assert kept.before(1) == tmp_path / "step-000004"
    assert kept.before(9) == tmp_path / "step-000000"
    assert kept.at(4) == tmp_path / "step-000004"
    kept.save(4, progress(None), 0, None, rollbacks=2)
    assert kept.at(4) == tmp_path / "step-000004-back-2"
    with pytest.raises(CheckpointError, match="no checkpoint of step 8"):
        kept.at(8)
    assert kept.last() == tmp_path / "step-000004-back-2"
    assert names(tmp_path) == ["step-000000", "step-000004-back-2"]


def test_a_folder_of_another_name_is_no_checkpoint(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, 1)
    kept.save(1, progress(None), 0, None)
    (tmp_path / "step-of-mine").mkdir()
    (tmp_path / "best-of-all").mkdir()
    kept.save(2, progress(None), 0, None)
    assert kept.last() == tmp_path / "step-000002"
    assert names(tmp_path) == ["best-of-all", "step-000002", "step-of-mine"]


def test_too_little_room_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"takes 1000000000\.0 GB"):
        Checkpoints(tmp_path, 1).save(1, progress(None), 10**18, None)
    assert names(tmp_path) == []


def test_missing_best_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="best-000007 is missing"):
        Checkpoints(tmp_path, 1).best(7)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_an_optimiser_comes_back_bit_for_bit(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    def steps(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, count: int) -> None:
        for number in range(count):
            parameter.grad = torch.full_like(parameter, 0.1 * number + 0.05)
            optimizer.step()

    torch.manual_seed(0)
    whole = nn.Parameter(torch.randn(4))
    half = nn.Parameter(whole.detach().clone())
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    first, second = kind([whole], lr=0.1, **options), kind([half], lr=0.1, **options)
    steps(first, whole, 3)
    steps(second, half, 3)
    save_optimizer(second, tmp_path)
    rest = nn.Parameter(half.detach().clone())
    third = kind([rest], lr=0.5, **options)
    load_optimizer(third, tmp_path)
    assert third.param_groups[0]["lr"] == 0.1
    steps(first, whole, 2)
    steps(third, rest, 2)
    assert torch.equal(whole, rest)


def test_the_random_state_comes_back(tmp_path: Path) -> None:
    save_random_state(tmp_path)
    first = torch.rand(3)
    load_random_state(tmp_path)
    assert torch.equal(torch.rand(3), first)


def test_missing_files_are_named(tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    for read in (lambda: load_optimizer(optimizer, tmp_path), lambda: load_random_state(tmp_path)):
        with pytest.raises(CheckpointError, match="is damaged"):
            read()
    with pytest.raises(CheckpointError, match="is damaged"):
        load_progress(tmp_path)
