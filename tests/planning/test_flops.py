"""Floating-point operations against figures counted by hand."""

import json
from pathlib import Path

import pytest

from ekle.planning.flops import Cost, TrainingCost, cost_of, countable_shape, step_cost
from ekle.planning.shapes import ModelShape
from ekle.recipe.training import TrainingSettings

# Numbers in a layer: q 4 x 6, k and v 4 x 3, o 6 x 4, three of 4 x 5; together 132, in two layers 264.
SHAPE = ModelShape(
    layers=2, hidden=4, heads=2, key_value_heads=1, head_dim=3, intermediate=5, rows=50, tied=False
)
# In a sequence of 8 a token looks back at 4 on average: 6 channels of scores and 6 of mixtures, 48 a layer.
LAYERS = 2 * (264 + 2 * 48)  # a product and a sum each
ROW = 2 * 4


def test_a_token_costs_what_is_counted_by_hand() -> None:
    assert cost_of(SHAPE, 8) == Cost(layers=720, row=8) == Cost(LAYERS, ROW)
    assert cost_of(SHAPE, 16).layers == 2 * (264 + 2 * 96)


def test_training_costs_three_times_a_forward_pass() -> None:
    assert cost_of(SHAPE, 8).training(50) == 3 * (720 + 50 * 8)
    assert cost_of(SHAPE, 8).training(60) - cost_of(SHAPE, 8).training(50) == 3 * 10 * 8


def test_distilling_costs_the_teacher_a_part_of_the_student_and_the_rows() -> None:
    teacher = 1.5 * 720  # all layers, for one and a half base tokens
    student = 2 * 0.5 * 720  # forwards and backwards through one layer of two, no gradients of its weights
    rows = 50 * 8 + 10 * 8 + 10 * 8  # all forwards, the new ones' gradients
    assert cost_of(SHAPE, 8).distilling(50, 10, 0.5, 1.5) == teacher + student + rows


def test_aligning_costs_the_teacher_the_student_and_the_rows_twice_forwards() -> None:
    teacher = 1.5 * (720 + 50 * 8)
    student = 2 * 720
    rows = 2 * 60 * 8 + 60 * 8 + 10 * 8  # forwards twice, gradients of the states, of the new rows
    assert cost_of(SHAPE, 8).aligning(50, 10, 1.5) == teacher + student + rows


def settings(**changes: object) -> TrainingSettings:
    given = {"batch_size": 2, "gradient_accumulation": 3, "sequence_length": 8, "optimizer": "adamw"}
    return TrainingSettings.model_validate({**given, "dora": {"rank": 1}, **changes})


# Per layer and rank, A and B have as many numbers as both sides together: 10, 7, 7, 10, 9, 9, 9.
ADAPTERS = 2 * 2 * 61
TOKEN = 2 * 720 + (2 * 60 + 10) * 8 + 3 * ADAPTERS  # layers twice, rows twice, new ones once more, adapters


def test_a_step_costs_its_tokens() -> None:
    assert step_cost(SHAPE, settings(), 50, 10) == 2 * 3 * 8 * TOKEN
    assert step_cost(SHAPE, settings(), 50, 10, sequences=24) == 24 * 8 * TOKEN
    assert step_cost(SHAPE, settings(), 50, 0) == 2 * 3 * 8 * (TOKEN - (2 * 10 + 10) * 8)


def test_sophias_curvature_is_that_of_one_batch_whatever_the_number_of_processes() -> None:
    plain = step_cost(SHAPE, settings(), 50, 10, sequences=24)
    sophia = step_cost(SHAPE, settings(optimizer="sophia"), 50, 10, sequences=24)
    assert sophia - plain == pytest.approx(2 * 8 * (TOKEN + 60 * 8) / 10)


def test_a_control_has_the_steps_whose_operations_come_nearest() -> None:
    ours = TrainingCost(extension=1_000.0, alignment=500.0, step=100.0)
    assert ours.after(0) == 1_500
    assert ours.after(45) == 6_000
    control = TrainingCost(0.0, 0.0, step=90.0)
    assert control.steps_for(ours.after(45)) == 67  # 66.67
    assert control.steps_for(ours.after(0)) == 17  # 16.67
    assert control.steps_for(1.0) == 1


def test_a_model_that_is_no_decoder_like_ours_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"n_embd": 4}), encoding="utf-8")
    assert countable_shape(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps(SHAPE.config), encoding="utf-8")
    assert countable_shape(tmp_path) == SHAPE
