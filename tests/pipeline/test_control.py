"""A control in a run: what it adds, what it leaves alone, what is made again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.artifacts import ORDER, WITHOUT_CONTROL, folder_name
from ekle.errors import InputError
from ekle.pipeline.run import run
from ekle.pipeline.run_folder import RunFolder
from ekle.pipeline.status import read_status
from ekle.recipe import Recipe

Recipes = Callable[..., Recipe]


def test_a_control_has_a_folder_beside_its_training_and_moves_no_other() -> None:
    assert [folder_name(stage) for stage in WITHOUT_CONTROL] == [
        "1-corpus",
        "2-vocabulary",
        "3-base",
        "4-extension",
        "5-training",
        "6-evaluation",
        "7-release",
    ]
    assert folder_name("control") == "5-control"
    assert ORDER.index("training") + 1 == ORDER.index("control") == ORDER.index("evaluation") - 1


@pytest.mark.parametrize("way", ["argument", "recipe"])
def test_a_run_with_a_control_makes_one_stage_more(
    stand_ins, recipe_with: Recipes, tmp_path: Path, way: str
) -> None:
    recipe = recipe_with("control.train=true") if way == "recipe" else recipe_with()
    at = run(recipe, tmp_path / "run", control=way == "argument")
    assert stand_ins.made == list(ORDER)
    assert "5-control" in at.manifest("evaluation").inputs
    assert at.recipe()["control"]["train"] is True


def test_a_run_without_knows_nothing_of_a_control(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    at = run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == list(WITHOUT_CONTROL)
    assert not at.place("control").exists()
    assert [row.stage for row in read_status(at.folder)] == list(WITHOUT_CONTROL)
    manifest = at.manifest("evaluation")
    assert "5-control" not in manifest.inputs
    assert not [name for name in manifest.settings if name.startswith("control")]


def test_a_control_is_added_to_a_finished_run_and_only_what_reads_it_is_made_again(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    run(recipe_with(), tmp_path / "run")
    stand_ins.made.clear()
    at = run(recipe_with(), tmp_path / "run", control=True)
    assert stand_ins.made == ["control", "evaluation", "release"]
    assert [row.stage for row in read_status(at.folder)] == list(ORDER)


def test_the_report_stays_until_the_control_is_trained(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    run(recipe_with(), tmp_path / "run")

    def interrupt(stage: str, folder: Path) -> None:
        if stage == "control":
            raise KeyboardInterrupt

    stand_ins.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(recipe_with(), tmp_path / "run", control=True)
    at = RunFolder(tmp_path / "run")
    assert at.manifest("evaluation") and at.manifest("release") and at.begun("control")
    stand_ins.before = lambda stage, folder: None
    stand_ins.made.clear()
    run(recipe_with(), tmp_path / "run", control=True)
    assert stand_ins.made == ["control", "evaluation", "release"]
    assert stand_ins.found["control"] == ["begun.json"]


def test_a_finished_control_stays_part_of_the_run(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    run(recipe_with(), tmp_path / "run", control=True)
    stand_ins.made.clear()
    at = run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == []
    run(recipe_with(), tmp_path / "run", redo="training")
    assert stand_ins.made == ["training", "control", "evaluation", "release"]
    assert "5-control" in at.manifest("evaluation").inputs


def test_until_and_redo_may_name_the_control(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    run(recipe_with(), tmp_path / "run", until="control")
    assert stand_ins.made == list(ORDER[: ORDER.index("control") + 1])
    run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == list(ORDER)
    stand_ins.made.clear()
    run(recipe_with(), tmp_path / "run", redo="control")
    assert stand_ins.made == ["control", "evaluation", "release"]
    with pytest.raises(InputError, match="--redo control comes after --until training"):
        run(recipe_with(), tmp_path / "run", until="training", redo="control")


def test_the_control_rate_puts_the_control_alone_out_of_date(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    run(recipe_with(), tmp_path / "run", control=True)
    stand_ins.made.clear()
    with pytest.raises(Exception, match=r"control\.learning_rate None -> 0\.01.*--redo control"):
        run(recipe_with("control.learning_rate=0.01"), tmp_path / "run")
    run(recipe_with("control.learning_rate=0.01"), tmp_path / "run", redo="control")
    assert stand_ins.made == ["control", "evaluation", "release"]


def test_what_is_made_again_is_said_before_the_control_begins(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    run(recipe_with(), tmp_path / "run")
    run(recipe_with(), tmp_path / "run", control=True)
    lines = (tmp_path / "run" / "events.jsonl").read_text("utf-8").splitlines()
    said = [index for index, line in enumerate(lines) if "6-evaluation and 7-release" in line]
    begun = [index for index, line in enumerate(lines) if '"stage": "control", "state": "started"' in line]
    assert said and begun and said[-1] < begun[0]
