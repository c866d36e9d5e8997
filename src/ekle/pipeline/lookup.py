"""What is in a folder that the user names: a run, a vocabulary, a model or a tokenizer."""

from pathlib import Path
from typing import TYPE_CHECKING

from ekle.artifacts import BaseModel, Checkpoint, Corpus, Vocabulary
from ekle.errors import InputError
from ekle.files import read_json
from ekle.pipeline.run_folder import RunFolder

if TYPE_CHECKING:
    from ekle.evaluation.trust.provenance import EarlierStages


def find_model(folder: Path) -> Path:
    """The model or tokenizer folder that `folder` means.

    A run means the furthest thing it has made: the release, the extended model, the vocabulary. Any
    other folder means the `model` or `tokenizer` folder in it, or itself.

    Raises:
        InputError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    at = RunFolder(folder)
    places = (
        [at.place("release") / "model", at.place("extension") / "model", at.place("vocabulary") / "tokenizer"]
        if at.is_run()
        else [folder / "model", folder / "tokenizer", folder]
    )
    for place in places:
        if (place / "tokenizer.json").is_file() or (place / "config.json").is_file():
            return place
    raise InputError(f"{folder} holds no tokenizer.json, itself or in model/ or tokenizer/")


def models_of(folder: Path) -> tuple[Path, Path | None]:
    """The extended model in `folder`, and the trained one where it is a run that has made both.

    Raises:
        InputError: as `find_model`.
    """
    last = find_model(folder)
    at = RunFolder(folder)
    extended, released = at.place("extension") / "model", at.place("release") / "model"
    both = at.is_run() and last == released and (extended / "config.json").is_file()
    return (extended, released) if both else (last, None)


def control_of(folder: Path) -> Checkpoint | None:
    """The trained control of a run of which `models_of` finds both models; None where there is none."""
    at = RunFolder(folder)
    if not at.is_run() or not at.manifest("control") or models_of(folder)[1] is None:
        return None
    return Checkpoint(at.place("control"), has_new_rows=False)


def training_texts_of(folder: Path) -> list[Path]:
    """The text, and the conversations, that a run has learned from; none where `folder` is no run."""
    at = RunFolder(folder)
    if not at.is_run():
        return []
    share = at.recipe()["training"].get("instruction_share", 0.0)
    return Corpus(at.place("corpus")).learned_from(share)


def reported_by(folder: Path) -> "EarlierStages":
    """What the stages of a run reported: the vocabulary, and where `models_of` finds a trained model the
    trainings; nothing where `folder` is no run.
    """
    from ekle.evaluation.trust.provenance import (  # with torch
        EarlierStages,
        training_logs,
        vocabulary_summary,
    )

    at = RunFolder(folder)
    vocabulary, training = None, None
    if at.is_run() and at.manifest("vocabulary"):
        vocabulary = vocabulary_summary(Vocabulary(at.place("vocabulary")).report)
    if at.is_run() and at.manifest("training") and at.manifest("base") and models_of(folder)[1] is not None:
        base = BaseModel(at.place("base"), folder.name)
        training = training_logs(base, Checkpoint(at.place("training")), control_of(folder))
    return EarlierStages(vocabulary, training)


def find_report(place: Path) -> Path:
    """The folder of the evaluation that `place` means: a run's own, or `place` itself.

    Raises:
        InputError: there is nothing of that name, or no report in it.
    """
    if not place.exists():
        raise InputError(f"there is no report {place}; to compare tokenizers name a text with --text")
    own = RunFolder(place).place("evaluation")
    found = own if own.is_dir() else place
    if found.is_dir() and not (found / "report.json").is_file():
        raise InputError(
            f"{place} holds no report of ekle evaluate; to compare tokenizers name a text with --text"
        )
    return found


def held_out_of(run: Path) -> dict[str, Path]:
    """The texts that a run kept for measuring, by genre.

    Raises:
        InputError: there is no such folder, or it is no run with held-out text.
    """
    if not run.is_dir():
        raise InputError(f"there is no folder {run}")
    files = sorted((RunFolder(run).place("corpus") / "held-out").glob("*.jsonl"))
    if not files:
        raise InputError(f"{run} is no run that held text out; name some to measure on with --held-out")
    return {path.stem: path for path in files}


def recorded_base(folder: Path, option: str = "--base") -> str:
    """The base tokenizer that a vocabulary, an extended model or a run was made from; `option` names another.

    Raises:
        InputError: there is no such folder, or nothing of that is recorded in it or next to it.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    vocabulary = RunFolder(folder).place("vocabulary")
    for place in (folder, folder.parent, vocabulary, folder.parent.parent / vocabulary.name):
        for name in ("report.json", "extension.json"):
            if (place / name).is_file():
                base = read_json(place / name).get("base")
                if isinstance(base, dict) and "name" in base:
                    return str(base["name"])
    raise InputError(f"{folder} does not say what it was made from; name it with {option}")


def recorded_base_model(folder: Path) -> str | Path:
    """The reference for `folder`: the base model that it was made from, or the base tokenizer.

    A run has its base model. An extended model names the base's hub id; that of a folder is not recorded. A
    vocabulary has only a base tokenizer.

    Raises:
        InputError: the base is not recorded, or is gone.
    """
    for place in (folder, *folder.absolute().parents[:2]):
        at = RunFolder(place)
        if at.is_run() and at.manifest("base"):
            model = BaseModel(at.place("base"), place.name).model
            if not model.is_dir():
                raise InputError(f"{model}, the base of {place}, is gone; name it with --against FOLDER")
            return model
    from ekle.base.stage import resolve_model  # with torch

    for place in (folder, folder.parent):
        if (place / "extension.json").is_file():
            name = str(read_json(place / "extension.json").get("base_model", ""))
            if "/" in name:
                return resolve_model(name)
            raise InputError(
                f"{folder} was made from a model in a folder {name}, and does not say where that is; name it "
                "with --against FOLDER"
            )
    return recorded_base(folder, "--against")
