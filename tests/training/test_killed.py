"""A run that SIGKILL ends again and again, at moments that nobody chose, is the run that nothing ended."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from killed_run import run_and_kill, run_through
from safetensors.torch import load_file

from ekle.artifacts import Corpus, ExtendedModel
from ekle.recipe import make_recipe

KILLS, MOST = 8, 24
"""Kills that are enough where three of them fell into a save, and how many to try for those three."""
SETTINGS: dict[str, Any] = {
    "steps": 12,
    "batch_size": 1,
    "gradient_accumulation": 2,
    "sequence_length": 32,
    "learning_rate": 3e-3,
    "evaluate_steps": 5,
    "evaluate_bytes": 200,
    "checkpoint_steps": 2,
    "log_steps": 3,  # no multiple of the checkpoints: the sums of a line lie in two of them
    "patience": 0,
    "precision": "fp32",
    "activation_checkpointing": False,
    "merge_dropout": 0.2,
    "rows_first": 0.2,
    "dora": {"rank": 2, "alpha": 2.0},
    "sophia": {"hessian_every": 3},
}
TIMED = ("tokens_per_second", "bytes_per_second", "seconds", "memory_bytes", "memory_in_use")


def contents(folder: Path) -> dict[str, Any]:
    """All that a training folder holds, without what the clock and the memory say."""
    held: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors":
            held |= {f"{name}:{key}": tensor for key, tensor in load_file(path).items()}
        elif path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            held[name] = [{k: v for k, v in line.items() if k not in TIMED} for line in lines]
        elif path.name in ("progress.json", "training.json"):
            content = json.loads(path.read_text("utf-8"))
            content.pop("seconds", None)
            for timed in ("seconds", "all_seconds"):
                content.get("meter", {}).pop(timed, None)
            held[name] = content
        else:
            held[name] = path.read_bytes()
    return held


def same(first: Any, second: Any) -> bool:
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else bool(first == second)


@pytest.mark.slow(seconds=70)
def test_a_run_killed_at_any_moment_ends_as_the_one_that_was_never_stopped(
    tmp_path: Path, tiny_corpus: Corpus, tiny_extended: ExtendedModel
) -> None:
    recipe = make_recipe({"name": "test", "training": SETTINGS}).model_dump_json()
    shared = (recipe, tiny_corpus.folder, tiny_extended.folder)
    whole = tmp_path / "whole"
    whole.mkdir()
    run_through((*shared, whole))
    wanted = contents(whole)

    dice = random.Random(7)
    moments: list[str] = []
    partial: list[str] = []
    runs = 0
    while len(moments) < KILLS or (_saves(moments) < 3 and len(moments) < MOST):
        runs += 1
        folder = tmp_path / f"run-{runs}"
        folder.mkdir()
        while (attempt := run_and_kill((*shared, folder), dice, longest=45))[0] is not None:
            moments.append(str(attempt[0]))
            partial += attempt[1]
        found = contents(folder)
        assert found.keys() == wanted.keys()
        different = [name for name, value in wanted.items() if not same(value, found[name])]
        assert different == [], f"after {moments}"
    assert _saves(moments) >= 3, moments
    assert any(name.startswith(".step-") for name in partial), "a kill left half a checkpoint"
    assert any("accumulate" in moment for moment in moments), moments


def _saves(moments: list[str]) -> int:
    return sum("save" in moment for moment in moments)


@pytest.fixture
def tied() -> bool:
    """One shape of model is enough here."""
    return False
