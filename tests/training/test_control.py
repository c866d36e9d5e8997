"""The control: its budget, its steps, and that it resumes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from interrupted import assert_same, killed_at

from ekle.artifacts import BaseModel, Checkpoint, Corpus, ExtendedModel
from ekle.errors import CheckpointError
from ekle.planning.flops import step_cost
from ekle.planning.shapes import read_shape
from ekle.progress import silent
from ekle.recipe import Recipe, make_recipe
from ekle.training import control, stage

SETTINGS: dict[str, Any] = {
    "steps": 6,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "sequence_length": 40,
    "learning_rate": 3e-3,
    "evaluate_steps": 2,
    "checkpoint_steps": 2,
    "log_steps": 2,
    "patience": 0,
    "precision": "fp32",
    "activation_checkpointing": False,
    "optimizer": "adamw",
    "dora": {"rank": 2, "alpha": 2.0},
}


def recipe(**changes: Any) -> Recipe:
    given = {"name": "test", "training": {**SETTINGS, **changes.pop("training", {})}, **changes}
    return make_recipe(given)


@pytest.fixture(scope="module")
def ours(
    tiny_corpus: Corpus,
    _extended_models: dict[bool, ExtendedModel],
    tmp_path_factory: pytest.TempPathFactory,
) -> Checkpoint:
    """Our training, whose operations are the budget."""
    folder = tmp_path_factory.mktemp("ours")
    return stage.run(recipe(), stage.Inputs(tiny_corpus, _extended_models[False]), folder, silent())


@pytest.fixture
def inputs(
    tiny_corpus: Corpus, tiny_base_model: BaseModel, tiny_extended: ExtendedModel, ours: Checkpoint
) -> control.Inputs:
    return control.Inputs(tiny_corpus, tiny_base_model, tiny_extended, ours)


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "training.json").read_text("utf-8"))
    return found


def with_extension_flops(inputs: control.Inputs, flops: float, folder: Path) -> control.Inputs:
    """The same after a rule that learned for so many operations, before a training that did not count."""
    extended, checkpoint = folder / "extended", folder / "checkpoint"
    shutil.copytree(inputs.extended.folder, extended)
    written = json.loads((extended / "extension.json").read_text("utf-8"))
    (extended / "extension.json").write_text(json.dumps({**written, "flops": flops}), encoding="utf-8")
    checkpoint.mkdir(parents=True)
    old = {
        name: value
        for name, value in about(inputs.checkpoint.folder).items()
        if "flops" not in name and name != "sequences"
    }
    (checkpoint / "training.json").write_text(json.dumps(old), encoding="utf-8")
    return control.Inputs(inputs.corpus, inputs.base, ExtendedModel(extended), Checkpoint(checkpoint))


def test_our_training_records_what_it_took(ours: Checkpoint, tiny_extended: ExtendedModel) -> None:
    shape = read_shape(tiny_extended.model / "config.json")
    step = step_cost(shape, recipe().training, 410, 20)
    found = about(ours.folder)
    assert found["flops"] == found["flops_of_step"] * 6 == step * 6
    assert found["flops_of_extension"] == found["flops_of_alignment"] == 0
    assert found["sequences"] == 4
    curve = {line["step"]: line for line in ours.history if "held_out_bits_per_byte" in line}
    assert [curve[at]["flops"] for at in (0, 2, 4, 6)] == [0, 2 * step, 4 * step, 6 * step]
    read = [curve[at]["text_bytes"] for at in (0, 2, 4, 6)]
    assert read[0] == 0 and read == sorted(set(read))
    logged = [line for line in ours.history if "bits_per_byte" in line]
    spoken = sum(line["bytes_per_second"] / line["tokens_per_second"] * 2 * 4 * 40 for line in logged)
    assert read[-1] == found["text_bytes"] == pytest.approx(spoken, abs=1)


def test_the_control_takes_as_many_operations(inputs: control.Inputs, tmp_path: Path) -> None:
    made = control.run(recipe(), inputs, tmp_path, silent())
    budget, found = about(inputs.checkpoint.folder)["flops"], about(tmp_path)
    assert found["budget_flops"] == budget
    assert found["steps"] == round(budget / found["flops_of_step"])
    assert found["flops"] == pytest.approx(budget, rel=0.5 / found["steps"])
    assert not made.has_new_rows
    assert found["settings"]["training.steps"] == found["steps"]


def test_what_the_rows_took_is_paid_back_in_steps(inputs: control.Inputs, tmp_path: Path) -> None:
    """Ours learned its rows for as many operations as six more steps of the control."""
    shape = read_shape(inputs.base.model / "config.json")
    own = step_cost(shape, recipe().training, shape.rows, 0)
    dearer = with_extension_flops(inputs, 6 * own, tmp_path)
    made = control.run(recipe(), dearer, tmp_path / "control", silent())
    without = round(about(inputs.checkpoint.folder)["flops"] / own)
    assert about(made.folder)["steps"] == without + 6
    assert about(made.folder)["budget_flops"] == about(inputs.checkpoint.folder)["flops"] + 6 * own


def test_the_control_may_have_a_rate_of_its_own(inputs: control.Inputs, tmp_path: Path) -> None:
    control.run(recipe(control={"learning_rate": 7e-4}), inputs, tmp_path, silent())
    assert about(tmp_path)["settings"]["training.learning_rate"] == 7e-4


def test_a_control_that_is_killed_ends_with_the_same_bits(inputs: control.Inputs, tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    control.run(recipe(), inputs, tmp_path / "whole", silent())
    with killed_at(9):
        control.run(recipe(), inputs, tmp_path / "killed", silent())
    assert not (tmp_path / "killed" / "training.json").exists()
    made = control.run(recipe(), inputs, tmp_path / "killed", silent())
    assert_same(tmp_path / "killed", tmp_path / "whole")
    spent = [
        [(line["step"], line["flops"], line["text_bytes"]) for line in history if "text_bytes" in line]
        for history in (made.history, Checkpoint(tmp_path / "whole").history)
    ]
    assert spent[0] == spent[1]


def test_a_base_whose_operations_are_not_counted_is_refused(inputs: control.Inputs, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(inputs.base.model, model)
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "num_experts": 8}), encoding="utf-8")
    (tmp_path / "base.json").write_text(json.dumps({"model": "model", "name": "x"}), encoding="utf-8")
    other = control.Inputs(inputs.corpus, BaseModel(tmp_path, "x"), inputs.extended, inputs.checkpoint)
    with pytest.raises(CheckpointError, match="run without --control"):
        control.run(recipe(), other, tmp_path / "control", silent())


def test_the_alignment_is_part_of_the_budget(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    aligned = recipe(training={"alignment": {"steps": 2, "batch_tokens": 200}})
    inputs = stage.Inputs(tiny_corpus, tiny_extended)
    (tmp_path / "whole").mkdir()
    stage.run(aligned, inputs, tmp_path / "whole", silent())
    found = about(tmp_path / "whole")
    assert found["flops_of_alignment"] > 0
    assert found["flops"] == found["flops_of_alignment"] + 6 * found["flops_of_step"]
    (tmp_path / "killed").mkdir()
    with killed_at(9):
        stage.run(aligned, inputs, tmp_path / "killed", silent())
    stage.run(aligned, inputs, tmp_path / "killed", silent())
    assert about(tmp_path / "killed")["flops"] == found["flops"]
