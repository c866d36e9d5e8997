"""Running a recipe: what is made already is kept, what has changed is refused, the rest is made."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ekle.artifacts import ORDER, WITHOUT_CONTROL, Stage, folder_name
from ekle.errors import EkleError, InputError, RunFolderError
from ekle.page.formatting import listed
from ekle.pipeline import distributed
from ekle.pipeline.manifest import Digests, flat_settings, input_files, write_begun, write_manifest
from ekle.pipeline.preflight import preflight
from ekle.pipeline.run_folder import RunFolder, lock_run_folder
from ekle.pipeline.stages import INPUTS, RESUMABLE, RUNTIME_SETTINGS, SETTINGS, make
from ekle.pipeline.status import key_figures
from ekle.progress import ProgressReporter, silent
from ekle.recipe import Recipe
from ekle.recipe.recipe import load_recipe


@dataclass(frozen=True)
class _Basis:
    """What a stage is made from, apart from earlier stages."""

    settings: dict[str, Any]
    files: dict[str, str]


def run(
    recipe: Recipe | str | Path,
    folder: str | Path | None = None,
    reporter: ProgressReporter | None = None,
    *,
    until: Stage = "release",
    redo: Stage | None = None,
    control: bool = False,
) -> RunFolder:
    """Run the stages of `recipe` in their order.

    A stage that was made from the same settings and the same input is kept. So is a control: a run that has
    one measures it from then on. An evaluation that was made without it is made again, with the release.

    Args:
        recipe: the settings, or the name or file of a recipe.
        folder: of the run; `runs/<name>` by default.
        reporter: receives progress.
        until: the last stage to make.
        redo: make this stage again, and those after it.
        control: train a control, too, and measure it, as `control.train` of the recipe does.

    Raises:
        RunFolderError: a stage was made from other settings or input (all of them are named), the
            folder holds something else, or another process is using it.
        EkleError: whatever else the stages or the checks before them refuse.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    folder = _folder(recipe, folder)
    if distributed.is_secondary_process():
        distributed.run_as_secondary(recipe, folder)
        return RunFolder(folder)
    if control or "control" in (until, redo) or RunFolder(folder).manifest("control"):
        trained = recipe.control.model_copy(update={"train": True})
        recipe = recipe.model_copy(update={"control": trained})
    stages = ORDER if recipe.control.train else WITHOUT_CONTROL
    wanted = stages[: stages.index(until) + 1]
    if redo is not None and redo not in wanted:
        raise InputError(f"--redo {redo} comes after --until {until}; nothing would be made")
    redone = stages[stages.index(redo) :] if redo is not None else ()
    with lock_run_folder(folder) as at:
        outdated: tuple[Stage, ...] = ()
        if "evaluation" in wanted and "evaluation" not in redone and _lacks_control(at, stages):
            outdated = stages[stages.index("evaluation") :]
        again = {*redone, *outdated}
        digests = Digests(reporter or silent())
        bases = {
            stage: _Basis(
                flat_settings(recipe, SETTINGS[stage], RUNTIME_SETTINGS),
                digests.of(input_files(stage, recipe)),
            )
            for stage in wanted
        }
        kept = [stage for stage in wanted if stage not in again and at.manifest(stage)]
        _refuse_changes(at, {stage: bases[stage] for stage in wanted if stage not in again})
        missing = [stage for stage in wanted if stage not in kept]
        distributed.check_distributed(recipe, wanted, missing)
        found = preflight(recipe, missing, at.folder) if missing else []
        at.write_recipe(recipe)
        reporter = (reporter or silent()).recording(at.events)
        reporter.say(f"{recipe.name} in {at.folder}")
        for line in found:
            reporter.say(line)
        if outdated:
            names = listed([folder_name(stage) for stage in outdated if at.place(stage).is_dir()])
            reporter.say(f"{names} will be made again, with the control")
        for stage in reversed(redone):
            at.empty(stage)
        for stage in wanted:
            for old in reversed(outdated) if stage == "evaluation" else ():  # a control takes long until then
                at.empty(old)
            _keep_or_make(stage, recipe, at, bases[stage], reporter)
            distributed.release_other_processes(recipe, stage, wanted)
    return at


def train_only(
    recipe: Recipe | str | Path,
    folder: str | Path | None = None,
    reporter: ProgressReporter | None = None,
    *,
    redo: bool = False,
) -> RunFolder:
    """Train in a run whose earlier stages are there; see `run` for the rest.

    Raises:
        RunFolderError: one of them is missing, and whatever else `run` refuses.
        EkleError: as `run`.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    at = RunFolder(_folder(recipe, folder))
    if missing := at.missing_before("training"):
        raise RunFolderError(
            f"{at.folder} has no {listed([folder_name(stage) for stage in missing])}, and training reads "
            'them; ekle.run(recipe, until="extension") makes them'
        )
    return run(recipe, at.folder, reporter, until="training", redo="training" if redo else None)


def _folder(recipe: Recipe, folder: str | Path | None) -> Path:
    return Path(folder) if folder is not None else Path("runs") / recipe.name


def _lacks_control(at: RunFolder, stages: Sequence[Stage]) -> bool:
    """Whether an evaluation of a run with a control was made, or begun, without it."""
    known = at.manifest("evaluation") or at.begun("evaluation")
    return "control" in stages and known is not None and folder_name("control") not in known.inputs


def _refuse_changes(at: RunFolder, bases: dict[Stage, _Basis]) -> None:
    """Stop where finished or begun stages do not fit the recipe; the message names every difference."""
    found: dict[Stage, list[str]] = {}
    for stage, basis in bases.items():
        manifest = at.manifest(stage) or at.begun(stage)
        if manifest is None:
            continue
        earlier = {name: value for name, value in manifest.inputs.items() if name in _EARLIER}
        changed = manifest.differences(basis.settings, basis.files | earlier)
        changed += [f"{folder_name(stage)}/{name} is damaged" for name in manifest.damage(at.place(stage))]
        if changed:
            found[stage] = changed
    if found:
        raise _changed(at, next(iter(found)), [change for changes in found.values() for change in changes])


def _keep_or_make(
    stage: Stage, recipe: Recipe, at: RunFolder, basis: _Basis, reporter: ProgressReporter
) -> None:
    """Keep a stage, or make it."""
    read = [earlier for earlier in INPUTS[stage] if earlier != "control" or recipe.control.train]
    inputs = basis.files | {folder_name(earlier): _fingerprint(at, earlier) for earlier in read}
    place = at.place(stage)
    manifest = at.manifest(stage)
    if (known := manifest or at.begun(stage)) and (changed := known.differences(basis.settings, inputs)):
        raise _changed(at, stage, changed)
    if manifest:
        _say(stage, "kept", at, reporter)
        return
    if stage not in RESUMABLE:
        at.empty(stage)
    place.mkdir(parents=True, exist_ok=True)
    if stage in RESUMABLE:
        write_begun(place, stage, basis.settings, inputs)
    reporter.event("stage", stage=stage, state="started")
    started = time.monotonic()
    try:
        with reporter.stage(folder_name(stage)), distributed.with_other_processes(recipe, stage):
            make(stage, recipe, at.place, reporter)
    except EkleError:
        if stage not in RESUMABLE:
            at.empty(stage)
        raise
    seconds = time.monotonic() - started
    write_manifest(place, stage, basis.settings, inputs, seconds)
    _say(stage, "made", at, reporter)


def _say(stage: Stage, state: str, at: RunFolder, reporter: ProgressReporter) -> None:
    manifest = at.manifest(stage)
    seconds = manifest.seconds if manifest else 0.0
    took = f"{seconds:,.1f} s" if state == "made" else state
    figures = key_figures(stage, at)
    line = f"{folder_name(stage):<14} {took:>8}  {figures}".rstrip()
    reporter.say(line, stage=stage, state=state, seconds=seconds)


def _fingerprint(at: RunFolder, stage: Stage) -> str:
    manifest = at.manifest(stage)
    if manifest is None:
        raise RunFolderError(f"{at.place(stage)} has lost its manifest.json; run again")
    return manifest.fingerprint


def _changed(at: RunFolder, first: Stage, changes: list[str]) -> RunFolderError:
    unique = list(dict.fromkeys(changes))  # base.tokenizer is read by several stages
    return RunFolderError(
        f"{at.folder} was made from something else: {'; '.join(unique)}. "
        f"Go on with ekle run RECIPE --redo {first}, which makes {first} and what follows again, or name the "
        "run anew"
    )


_EARLIER = frozenset(folder_name(stage) for stage in ORDER)
