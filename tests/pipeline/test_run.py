"""The run: what is kept, what is refused, what is made again."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.artifacts import WITHOUT_CONTROL, Stage
from ekle.errors import InputError, RunFolderError, VocabularyError
from ekle.pipeline.run import run
from ekle.pipeline.stages import RESUMABLE
from ekle.recipe import Recipe

Recipes = Callable[..., Recipe]


def test_a_run_makes_every_stage_in_order(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    at = run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == list(WITHOUT_CONTROL)
    assert all(at.manifest(stage) for stage in WITHOUT_CONTROL)


def test_a_second_run_keeps_every_stage(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    run(recipe_with(), tmp_path / "run")
    stand_ins.made.clear()
    run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == []


def test_until_stops_and_the_next_run_goes_on(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    run(recipe_with(), tmp_path / "run", until="vocabulary")
    assert stand_ins.made == ["corpus", "vocabulary"]
    run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == list(WITHOUT_CONTROL)


def test_every_changed_key_is_named_with_its_old_and_new_value(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    run(recipe_with("vocabulary.size=50"), tmp_path / "run")
    changed = recipe_with("vocabulary.size=40", "training.sophia.rho=0.5", "training.steps=7")
    with pytest.raises(RunFolderError) as refusal:
        run(changed, tmp_path / "run")
    message = str(refusal.value)
    assert "vocabulary.size 50 -> 40" in message
    assert "training.sophia.rho 0.04 -> 0.5" in message
    assert "training.steps 1000 -> 7" in message
    assert "--redo vocabulary" in message


def test_a_refused_run_changes_nothing(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    at = run(recipe_with(), tmp_path / "run")
    before = {path: path.read_bytes() for path in at.folder.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError):
        run(recipe_with("release.dtype=bf16", "corpus.held_out=0.3"), tmp_path / "run", redo="release")
    after = {path: path.read_bytes() for path in at.folder.rglob("*") if path.is_file()}
    before.pop(at.folder / ".lock"), after.pop(at.folder / ".lock")
    assert after == before


def test_settings_that_no_made_stage_reads_may_change(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    run(recipe_with(), tmp_path / "run", until="vocabulary")
    run(recipe_with("training.steps=7"), tmp_path / "run")
    assert stand_ins.made == list(WITHOUT_CONTROL)


@pytest.mark.parametrize("setting", ["log_steps=6", "memory_lines=9", "tracker=tensorboard", "parallel=ddp"])
def test_settings_that_change_no_result_may_change(
    stand_ins, recipe_with: Recipes, tmp_path: Path, setting: str
) -> None:
    run(recipe_with("training.log_steps=5"), tmp_path / "run")
    stand_ins.made.clear()
    run(recipe_with(f"training.{setting}"), tmp_path / "run")
    assert stand_ins.made == []
    stand_ins.before = _fail_at("training", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(recipe_with(), tmp_path / "begun")
    stand_ins.before = lambda stage, folder: None
    run(recipe_with(f"training.{setting}"), tmp_path / "begun")
    assert stand_ins.made[-1] == "release"


def test_text_with_other_content_is_refused_by_name(
    stand_ins, recipe_with: Recipes, tmp_path: Path, text: Path
) -> None:
    run(recipe_with(), tmp_path / "run")
    stamp = text.stat()
    text.write_text(text.read_text("utf-8").replace("Sabah", "Akşam").replace("ş", "s"), encoding="utf-8")
    os.utime(text, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert text.stat().st_size == stamp.st_size, "the test wants a change that size and time do not show"
    with pytest.raises(
        RunFolderError, match=r"corpus\.sources: .*text\.txt has other content.*--redo corpus"
    ):
        run(recipe_with(), tmp_path / "run")


def test_redo_makes_the_stage_and_those_after_it(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    run(recipe_with("training.steps=7"), tmp_path / "run")
    stand_ins.made.clear()
    run(recipe_with("training.steps=8"), tmp_path / "run", redo="training")
    assert stand_ins.made == ["training", "evaluation", "release"]
    assert stand_ins.found["training"] == ["begun.json"], "a stage made again starts from nothing"


def test_redo_of_a_late_stage_does_not_excuse_a_change_to_an_early_one(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    run(recipe_with(), tmp_path / "run")
    with pytest.raises(RunFolderError, match="--redo corpus"):
        run(recipe_with("corpus.held_out=0.3"), tmp_path / "run", redo="training")


def test_redo_behind_until_is_refused(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--redo training comes after --until base"):
        run(recipe_with(), tmp_path / "run", until="base", redo="training")
    assert not (tmp_path / "run").exists()


def _fail_at(failing: Stage, error: BaseException) -> Callable[[Stage, Path], None]:
    def before(stage: Stage, folder: Path) -> None:
        if stage == failing:
            (folder / "half").write_text("half")
            raise error

    return before


@pytest.mark.parametrize("stage", WITHOUT_CONTROL)
def test_a_stage_that_was_interrupted_runs_again(
    stand_ins, recipe_with: Recipes, tmp_path: Path, stage: Stage
) -> None:
    stand_ins.before = _fail_at(stage, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(recipe_with(), tmp_path / "run")
    stand_ins.before = lambda stage, folder: None
    stand_ins.made.clear()
    at = run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == list(WITHOUT_CONTROL[WITHOUT_CONTROL.index(stage) :])
    # Base, training and evaluation go on from what they left; the others want a clean place.
    left = ["begun.json", "half"] if stage in RESUMABLE else []
    assert stand_ins.found[stage] == left
    assert not (at.place(stage) / "begun.json").exists()


def test_an_interrupted_training_does_not_go_on_with_other_settings(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    stand_ins.before = _fail_at("training", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(recipe_with("training.steps=7"), tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"training\.steps 7 -> 8.*--redo training"):
        run(recipe_with("training.steps=8"), tmp_path / "run")


def test_a_mistake_found_by_a_stage_leaves_its_folder_empty(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    stand_ins.before = _fail_at("vocabulary", VocabularyError("too little text"))
    with pytest.raises(VocabularyError):
        run(recipe_with(), tmp_path / "run")
    assert (tmp_path / "run" / "1-corpus" / "manifest.json").exists()
    assert not (tmp_path / "run" / "2-vocabulary").exists()


def test_a_mistake_found_by_the_first_stage_leaves_no_run_folder(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    stand_ins.before = _fail_at("corpus", VocabularyError("no text"))
    with pytest.raises(VocabularyError):
        run(recipe_with(), tmp_path / "runs" / "run")
    assert not (tmp_path / "runs").exists()


def test_a_killed_run_leaves_no_manifest_and_no_lock(
    stand_ins, recipe_with: Recipes, tmp_path: Path, tiny_base: Path, text: Path
) -> None:
    program = f"""
import os, signal, sys
from pathlib import Path
from ekle.pipeline import run as module
from ekle.recipe import make_recipe
def make(stage, recipe, place, report):
    (place(stage) / "output.json").write_text(stage)
    if stage == "vocabulary":
        os.kill(os.getpid(), signal.SIGKILL)
module.make = make
base = {str(tiny_base)!r}
module.run(make_recipe({{"name": "probe", "base": {{"tokenizer": base, "model": base}},
    "corpus": {{"sources": [{str(text)!r}], "replay": []}}}}), Path({str(tmp_path / "run")!r}))
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == list(WITHOUT_CONTROL[1:])
    assert stand_ins.found["vocabulary"] == []


def test_two_runs_do_not_share_a_folder(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    at = run(recipe_with(), tmp_path / "run")
    with (at.folder / ".lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RunFolderError, match="another ekle is at work"):
            run(recipe_with(), tmp_path / "run")


def test_a_folder_with_something_else_is_refused(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("...")
    with pytest.raises(RunFolderError, match="no run of ekle"):
        run(recipe_with(), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_run_folder_is_refused(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    (tmp_path / "run").write_text("...")
    with pytest.raises(RunFolderError, match="is a file"):
        run(recipe_with(), tmp_path / "run")


def test_an_output_that_went_missing_is_named(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    at = run(recipe_with(), tmp_path / "run")
    (at.place("extension") / "output.json").unlink()
    with pytest.raises(RunFolderError, match=r"4-extension/output\.json is damaged.*--redo extension"):
        run(recipe_with(), tmp_path / "run")


def test_a_stage_removed_by_hand_is_made_again_and_what_follows_is_kept(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    at = run(recipe_with(), tmp_path / "run")
    at.empty("vocabulary")
    stand_ins.made.clear()
    run(recipe_with(), tmp_path / "run")
    assert stand_ins.made == ["vocabulary"], "the same output comes out, so nothing after it is out of date"


def test_what_follows_a_stage_that_came_out_differently_is_refused(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    at = run(recipe_with("vocabulary.size=50"), tmp_path / "run")
    at.empty("vocabulary")
    with pytest.raises(RunFolderError, match=r"2-vocabulary has other content.*--redo extension"):
        run(recipe_with("vocabulary.size=40"), tmp_path / "run")


def test_the_events_of_a_run_name_its_stages(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    at = run(recipe_with(), tmp_path / "run")
    events = at.events.read_text("utf-8")
    assert all(f'"stage": "{stage}", "state": "made"' in events for stage in WITHOUT_CONTROL)
