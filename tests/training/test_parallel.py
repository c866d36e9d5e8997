"""Training in several processes: the same losses and weights as in one, wherever it was begun."""

import itertools
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from worker_processes import Training, run_in_processes

from ekle.artifacts import Checkpoint, Corpus, ExtendedModel
from ekle.errors import TrainingError
from ekle.model.checkpoint.merging import merged_tensors
from ekle.recipe import make_recipe
from ekle.recipe.training import TrainingSettings
from ekle.training.micro_batches import StepBatch, split_step

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(
        torch.cuda.device_count() == 1, reason="a process drives one GPU: two are needed, or none"
    ),
]

slow = pytest.mark.slow(seconds=20)  # for the trainings that all of them look at

SETTINGS: dict[str, Any] = {
    "steps": 6,
    "batch_size": 2,
    "sequence_length": 40,
    "learning_rate": 1e-3,
    "gradient_clip": 0.2,  # shorter than most gradients here
    "precision": "fp32",
    "tf32": False,
    "evaluate_steps": 3,
    "checkpoint_steps": 3,
    "keep_checkpoints": 9,
    "log_steps": 1,
    "patience": 0,
    "dora": {"rank": 3, "alpha": 2.0},  # which two processes cannot halve
    "sophia": {"hessian_every": 2},
}
SINGLE: dict[str, Any] = {"batch_size": 1, "steps": 3}  # so that only one process estimates the curvature
MUON: dict[str, Any] = {"optimizer": "muon", "tied": True, "steps": 3}
SHARED: dict[str, Any] = {
    "optimizer": "adamw",
    "shared_rows": True,
    "rows_learning_rate": 1e-4,
    "steps": 3,
}
ONE, TWO = {"gradient_accumulation": 2}, {"gradient_accumulation": 1}
"""Four sequences a step in one process, and in two."""
TRACKER = "tensorboard" if find_spec("tensorboard") else "none"
"""Of one run in two processes: they talk to each other as before, although only one of them has a tracker."""


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Corpus, _extended_models: dict[bool, ExtendedModel]
) -> Path:
    """Folders of trainings: in one process, in two, or begun in the one and ended in the other."""
    root = tmp_path_factory.mktemp("processes")

    def training(name: str, *, tied: bool = False, **changes: Any) -> Training:
        recipe = make_recipe({"name": "test", "training": SETTINGS | changes})
        return Training(recipe, tiny_corpus.folder, _extended_models[tied].folder, root / name)

    training("one", **ONE)()
    training("single", **SINGLE, gradient_accumulation=4)()
    training("muon", **ONE, **MUON)()
    training("shared", **ONE, **SHARED)()
    interrupted(root / "one", root / "one-then-two")
    together = [
        training("two", **TWO),
        training("two-ddp", **TWO, parallel="ddp", tracker=TRACKER),
        training("one-then-two", **ONE),
        training("single-two", **SINGLE, gradient_accumulation=2),
        training("muon-two", **TWO, **MUON),
        training("shared-two", **TWO, **SHARED),
        training("shared-two-ddp", **TWO, **SHARED, parallel="ddp"),
    ]
    run_in_processes(2, together)
    interrupted(root / "two", root / "two-then-one")
    training("two-then-one", **TWO)()
    return root


def interrupted(finished: Path, folder: Path) -> None:
    """A copy of a training as it was after half of its steps."""
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "adapter")
    for name in ("training.json", "new_rows.safetensors"):
        (folder / name).unlink()
    for checkpoint in (folder / "checkpoints").glob("*-000006"):
        shutil.rmtree(checkpoint)


FIGURES = ["loss_per_token", "bits_per_byte", "held_out_bits_per_byte", "tokens", "grad_norm", "new_row_norm"]
PAIRS = [
    ("one", "two"),
    ("one", "two-ddp"),
    ("one", "one-then-two"),
    ("one", "two-then-one"),
    ("single", "single-two"),
    ("muon", "muon-two"),
    ("shared", "shared-two"),
    ("shared", "shared-two-ddp"),
]


def lines(folder: Path) -> list[dict[str, float]]:
    # The tiny weights are sampled whole, so their movement is that of one process as well.
    figures = [*FIGURES, "clipped_share", "new_tokens_seen_1", "new_tokens_seen_10"]
    if not folder.name.startswith("shared"):  # Muon rounds to bfloat16, and moves these rows
        figures.append("update_to_weight_rows")
    return [{name: line[name] for name in figures if name in line} for line in Checkpoint(folder).history]


@pytest.mark.parametrize(("one", "other"), PAIRS)
@slow
def test_every_step_is_that_of_one_process(runs: Path, one: str, other: str) -> None:
    for ours, theirs in zip(lines(runs / one), lines(runs / other), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-5)


@pytest.mark.parametrize(("one", "other"), PAIRS)
@slow
def test_the_weights_are_those_of_one_process(runs: Path, one: str, other: str) -> None:
    ours, theirs = (weights(runs / folder) for folder in (one, other))
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        torch.testing.assert_close(theirs[name], values, atol=2e-6, rtol=2e-5)


def weights(folder: Path) -> dict[str, Tensor]:
    checkpoint = Checkpoint(folder)
    return {**load_file(checkpoint.adapter / "adapter_model.safetensors"), **load_file(checkpoint.rows)}


@slow
def test_the_merged_model_is_that_of_one_process(
    runs: Path, _extended_models: dict[bool, ExtendedModel]
) -> None:
    model = _extended_models[False].model
    start, one, two = (
        dict(merged_tensors(model, checkpoint))
        for checkpoint in (None, Checkpoint(runs / "one"), Checkpoint(runs / "two"))
    )
    assert (
        sum(not torch.equal(one[name], start[name]) for name in start) == 16
    )  # 14 layers, rows at both ends
    for name in start:
        torch.testing.assert_close(two[name], one[name], atol=2e-6, rtol=2e-5)


@slow
def test_the_noise_and_the_curvature_matter_to_these_losses(runs: Path) -> None:
    """Or they could differ between processes without being noticed."""
    clipped = [line["clipped_share"] for line in lines(runs / "one") if "clipped_share" in line]
    assert all(0.01 < share < 0.99 for share in clipped)
    assert lines(runs / "one")[1]["loss_per_token"] != lines(runs / "muon")[1]["loss_per_token"]


def test_a_step_is_begun_with_what_the_recipe_gives_a_device() -> None:
    settings = TrainingSettings(batch_size=8, gradient_accumulation=4)
    assert split_step(settings, 1, None) == StepBatch(32, 8, 4, 2048, 8)
    assert split_step(settings, 2, None) == StepBatch(64, 8, 4, 2048, 8)


@pytest.mark.parametrize(("processes", "batch_size", "passes"), [(1, 8, 4), (2, 8, 2), (8, 4, 1), (32, 1, 1)])
def test_a_step_keeps_its_sequences_with_another_number_of_processes(
    processes: int, batch_size: int, passes: int
) -> None:
    shared = split_step(TrainingSettings(batch_size=8, gradient_accumulation=4), processes, 32)
    assert (shared.sequences, shared.batch_size, shared.accumulation) == (32, batch_size, passes)


def test_the_curvature_never_needs_more_than_the_first_batch() -> None:
    for size, passes, begun, now in itertools.product(range(1, 9), range(1, 6), range(1, 5), range(1, 40)):
        sequences = size * passes * begun
        if sequences % now == 0:
            shared = split_step(
                TrainingSettings(batch_size=size, gradient_accumulation=passes), now, sequences
            )
            assert shared.curvature <= shared.batch_size * now
            assert shared.batch_size * shared.accumulation * now == sequences


def test_processes_that_cannot_share_a_step_are_told_how_many_could() -> None:
    with pytest.raises(TrainingError, match=r"12 sequences a step, which 5 .* 1, 2, 3, 4, 6 or 12"):
        split_step(TrainingSettings(batch_size=4, gradient_accumulation=3), 5, 12)
