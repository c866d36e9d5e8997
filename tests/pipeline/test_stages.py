"""The tables of the pipeline against the stages themselves."""

import ast
import dataclasses
import importlib
from pathlib import Path

import pytest

import ekle
from ekle.artifacts import ORDER, Stage
from ekle.pipeline.stages import INPUTS, SETTINGS
from ekle.recipe import Recipe

PACKAGE = Path(ekle.__file__).parent
ARTIFACT_OF: dict[Stage, str] = {
    "corpus": "corpus",
    "vocabulary": "vocabulary",
    "base": "base",
    "extension": "extended",
    "training": "checkpoint",
    "evaluation": "scorecard",
}


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_takes_the_inputs_that_its_manifest_records(stage: Stage) -> None:
    inputs = importlib.import_module(f"ekle.{stage}.stage").Inputs
    assert {field.name for field in dataclasses.fields(inputs)} == {ARTIFACT_OF[s] for s in INPUTS[stage]}


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_reads_no_setting_that_its_manifest_does_not_record(stage: Stage) -> None:
    """A setting that is read but not recorded could change without the stage being made again."""
    recorded = {key.partition(".")[0] for key in SETTINGS[stage]}
    read = {
        node.attr
        for path in (PACKAGE / stage).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "recipe"
        and node.attr in Recipe.model_fields
    }
    assert read <= recorded


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_reads_only_stages_before_it(stage: Stage) -> None:
    assert all(ORDER.index(earlier) < ORDER.index(stage) for earlier in INPUTS[stage])


def test_every_setting_belongs_to_a_stage() -> None:
    recorded = {key.partition(".")[0] for keys in SETTINGS.values() for key in keys}
    assert recorded == set(Recipe.model_fields)
