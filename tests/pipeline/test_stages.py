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
    "control": "control",
    "evaluation": "scorecard",
}
MODULES: dict[Stage, str] = {"control": "training.control"}
"""Of stages without a package of their own."""


def files_of(stage: Stage) -> list[Path]:
    """The modules that a stage runs."""
    package = MODULES.get(stage, stage).partition(".")[0]
    others = {name for other, name in MODULES.items() if other != stage}
    return [path for path in (PACKAGE / package).glob("*.py") if f"{package}.{path.stem}" not in others]


def artifact_of(earlier: Stage, stage: Stage) -> str:
    """What a stage calls that of an earlier one; training takes a base as well, for a control."""
    return "model" if (stage, earlier) == ("training", "extension") else ARTIFACT_OF[earlier]


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_takes_the_inputs_that_its_manifest_records(stage: Stage) -> None:
    inputs = importlib.import_module(f"ekle.{MODULES.get(stage, f'{stage}.stage')}").Inputs
    wanted = {artifact_of(earlier, stage) for earlier in INPUTS[stage]}
    assert {field.name for field in dataclasses.fields(inputs)} == wanted


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_reads_no_setting_that_its_manifest_does_not_record(stage: Stage) -> None:
    """A setting that is read but not recorded could change without the stage being made again."""
    recorded = {key.partition(".")[0] for key in SETTINGS[stage]}
    read = {
        node.attr
        for path in files_of(stage)
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
