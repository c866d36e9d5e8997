"""The run of ekle that the benchmark is about: its recipe, its folder, and where trainings start."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import WIDTH
from benchmarks.real.parts import Result
from benchmarks.real.text import ENGLISH
from benchmarks.real.training import training_settings
from benchmarks.real.workspace import Workspace, learned
from ekle.artifacts import ExtendedModel, Stage
from ekle.files import atomic_file
from ekle.pipeline.run import run
from ekle.pipeline.run_folder import RunFolder
from ekle.recipe import make_recipe

_TASKS = {
    "TurkishMMLU": "turkishmmlu/turkishmmlu_sub.json",
    "ARC": "arc_tr.jsonl",
    "XCOPA": "data__tr__val.tr.jsonl",
    "XQuAD": "xquad.tr.json",
}
_ENGLISH_TASKS = {"COPA": "data-gmt__tr__val.tr.jsonl"}
_GOLD = ("tr_boun-ud-dev.conllu", "tr_imst-ud-dev.conllu")
NAME = "real"


def content_of(space: Workspace) -> dict[str, Any]:
    """The recipe of the run, as its file has it."""
    size, text, data = space.size, space.text, space.data
    base = str(space.settled["tied"])
    gold = [data / "morphology" / name for name in _GOLD]
    parallel = data / "parallel" / "tr_en_dev.tsv"
    vocabulary = space.vocabulary_settings("portable")
    corpus = space.corpus_settings()
    return {
        "name": NAME,
        "seed": 0,
        "base": {"tokenizer": base, "model": base},
        "corpus": {
            **corpus.model_dump(mode="json", exclude_unset=True, exclude={"sources", "replay"}),
            "sources": corpus.sources,
            "replay": corpus.replay,
            "held_out_files": [str(text.file("validation", genre)) for genre in text.genres],
            "other_files": [str(text.file("validation", ENGLISH))],
        },
        "vocabulary": vocabulary.model_dump(mode="json", exclude_defaults=True),
        "extension": dict(size.rule(size.start).settings),
        "training": training_settings(
            size, size.steps(size.winner_tokens), size.winner_points, **size.winner_settings
        ),
        "control": {"train": True},
        "evaluation": {
            **size.report,
            "tasks": _there(data / "tasks", _TASKS),
            "english_tasks": _there(data / "tasks", _ENGLISH_TASKS),
            "gold": [str(path) for path in gold if path.exists()],
            "parallel": [str(path) for path in [parallel] if path.exists()],
        },
    }


def _there(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """By name, the files that the data has."""
    return {name: str(folder / file) for name, file in files.items() if (folder / file).exists()}


def recipe_file(space: Workspace) -> Path:
    """The recipe of the run as a file, written where it is not."""
    file = space.work / f"{NAME}.toml"
    with atomic_file(file) as temporary:
        temporary.write_text("\n".join(toml_lines(content_of(space))) + "\n", encoding="utf-8")
    return file


def toml_lines(content: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """A recipe as TOML: values of a section first, then the sections in it."""
    for name, value in content.items():
        if not isinstance(value, Mapping):
            line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
            yield line if len(line) < WIDTH else f"{name} = {json.dumps(value, ensure_ascii=False, indent=2)}"
    for name, value in content.items():
        if isinstance(value, Mapping):
            full = f"{section}.{name}" if section else name
            yield from ("", f"[{full}]")
            yield from toml_lines(value, full)


def run_folder(space: Workspace) -> RunFolder:
    """Where the run is."""
    return RunFolder(space.work / "runs" / NAME)


def run_until(space: Workspace, last: Stage) -> RunFolder:
    """Make the stages of the run that are not made, as far as `last`."""
    recipe_file(space)
    return run(make_recipe(content_of(space)), run_folder(space).folder, space.reporter, until=last)


def started(space: Workspace) -> tuple[ExtendedModel, Result]:
    """The model of the run before training, and what is recorded about its rows.

    Rules, probes and the winner share it, so its rows are learned once.
    """
    content = content_of(space)
    inputs = {
        "rule": content["extension"],
        "base": space.settled_digests["tied"],
        "vocabulary": space.vocabulary_digest(),
        "text": space.text.digest("learn"),
    }

    began = time.monotonic()
    extended = run_until(space, "extension").extended
    seconds = round(time.monotonic() - began, 1)
    about = space.parts.keep("start", inputs, lambda: {"seconds": seconds, **learned(extended)})
    return extended, about
