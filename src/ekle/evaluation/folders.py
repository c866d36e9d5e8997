"""`ekle evaluate`: any model folder against any base, and others beside it, on any text, without a run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ekle.artifacts import Scorecard
from ekle.bpe.load import load_tokenizer
from ekle.errors import InputError, RunFolderError, TextError
from ekle.evaluation.belonging import check_belonging
from ekle.evaluation.history import vocabulary_report
from ekle.evaluation.inputs import check_text_names, read_inputs
from ekle.evaluation.names import OURS, PEOPLE
from ekle.evaluation.parts import stamp_of
from ekle.evaluation.plan import Plan
from ekle.evaluation.provenance import provenance
from ekle.evaluation.scorecard import make_scorecard
from ekle.evaluation.subjects import Subject, is_model
from ekle.evaluation.texts import Texts, file_texts
from ekle.evaluation.untouched import record_of
from ekle.files import read_json
from ekle.progress import Report
from ekle.recipe.evaluation import Evaluation

_NAME = re.compile(r"[\w.+@-][\w.+@ -]*")  # a name is a key of the report and part of a file's name


def evaluate_folder(
    model: Path,
    against: Path | str,
    texts: Mapping[str, Path],
    settings: Evaluation,
    out: Path,
    report: Report,
    other: Mapping[str, Path] | None = None,
    *,
    trained: Path | None = None,
    beside: Mapping[str, Path | str] | None = None,
    learned_from: Sequence[Path] = (),
    known: Mapping[str, Any] | None = None,
) -> Scorecard:
    """Measure `model` against `against` and write report.json and report.html into `out`.

    Where one of the two is a tokenizer alone, the tokens are measured, the bytes of an extended model are
    still checked against the record of its making, and the rest is absent.

    Args:
        model: a model folder with its tokenizer, such as a release, or a tokenizer folder.
        against: the base it was made from, likewise; or "qwen3" or a hub id for a tokenizer alone.
        texts: by name, files or folders in the language that was learned.
        settings: limits and prompts.
        out: a new folder, or one that an interrupted evaluation left.
        report: says what happens.
        other: by name, files or folders in other languages or code, whose cut should not change.
        trained: the model folder that training made of `model`.
        beside: by name, further models or tokenizers, measured with the same rulers.
        learned_from: text that vocabulary or training has seen; what of the texts stands in it is counted.
        known: further entries of report.json, such as `vocabulary` and `training`; the vocabulary's report
            where it lies beside `model` needs not be given.

    Raises:
        InputError: no text is named, a folder is absent, or a name is taken or no name.
        TextError: a text cannot be read, or gold or pairs are not in a form that is known.
        TokenizerError, CheckpointError: a folder is damaged, or its tokenizer and its rows disagree.
        RunFolderError: `out` holds something else.
    """
    if not texts and not other:
        raise InputError("name at least one text to measure on, with --text FILE")
    check_text_names([*texts, *(other or {})])
    if not model.exists():
        raise InputError(f"there is no folder {model}")
    beside = beside or {}
    _check_names(beside)
    _check_place(out)
    tasks = read_inputs(settings)
    sources = [*texts.values(), *(other or {}).values()]
    measured = _texts(texts, other or {})
    base = Path(against)
    subjects = [Subject("base", base), Subject("extended", model)]
    subjects += [Subject("trained", trained)] if trained is not None else []
    subjects += [Subject(name, Path(place)) for name, place in beside.items() if is_model(Path(place))]
    if not (is_model(model) and is_model(base)):
        subjects = []
        report.say("One of the two is a tokenizer without a model; only tokens are measured")
    tokenizers = {name: load_tokenizer(place) for name, place in beside.items()}
    record = record_of(model)
    for subject in subjects:
        subject.check()
    for subject in subjects[1:]:
        if subject.name in OURS:
            recorded = subject.folder == model and record is not None
            check_belonging(subject.folder, load_tokenizer(subject.folder), base, recorded=recorded)
    places = {"base": against, "extended": model, **({"trained": trained} if trained else {}), **beside}
    before, after = load_tokenizer(against), load_tokenizer(model)
    origin = provenance(places, {"base": before, "extended": after, **tokenizers}, settings)
    plan = Plan(
        title=model.resolve().name,
        base=before,
        extended=after,
        subjects=subjects,
        texts=measured,
        settings=settings,
        stamp=stamp_of(
            {
                "settings": settings.model_dump(),
                "provenance": origin,
                "places": _where(places),
                "texts": _where(texts),
                "other": _where(other or {}),
                "learned_from": [str(path.absolute()) for path in learned_from],
            },
            [
                *map(Path, (*places.values(), *settings.files)),
                *sources,
                *learned_from,
                *([record] if record else []),
            ],
        ),
        provenance=origin,
        beside=tokenizers,
        tasks=tasks,
        learned_from=list(learned_from),
        record=record,
        known=_vocabulary(model) | dict(known or {}),
    )
    out.mkdir(parents=True, exist_ok=True)
    return make_scorecard(plan, out, report)


def _texts(texts: Mapping[str, Path], other: Mapping[str, Path]) -> Texts:
    """The text to measure on, all of it there."""
    measured = file_texts(texts, other)
    for source, documents in zip(
        [*texts.values(), *other.values()],
        [*measured.held_out.values(), *measured.other.values()],
        strict=True,
    ):
        if not documents:
            raise TextError(f"{source} holds no text to measure on; give another")
    return measured


def _where(places: Mapping[str, Path | str]) -> dict[str, str]:
    """Places by name as they are on this machine; what is no file or folder is a name already."""
    return {
        name: str(Path(place).absolute()) if Path(place).exists() else str(place)
        for name, place in places.items()
    }


def _check_names(beside: Mapping[str, Path | str]) -> None:
    for name in beside:
        if name in (*OURS, PEOPLE):
            raise InputError(
                f"{name} is a name that the report needs itself; give --beside another NAME=FOLDER"
            )
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name for a report; give --beside NAME=FOLDER a plain one")


def _check_place(out: Path) -> None:
    """Refuse a folder that is neither new nor an evaluation's."""
    if not out.exists():
        return
    ours = {"parts", "report.json", "report.html"}
    if not out.is_dir() or not {item.name for item in out.iterdir()} <= ours:
        raise RunFolderError(f"{out} holds something else; give another --out")


def _vocabulary(model: Path) -> dict[str, Any]:
    """The vocabulary stage's report, where `model` is a vocabulary folder or its tokenizer."""
    for path in (model / "report.json", model.parent / "report.json"):
        if path.is_file():
            report = read_json(path)
            if isinstance(report, dict) and "growth" in report:
                return {"vocabulary": vocabulary_report(report)}
    return {}
