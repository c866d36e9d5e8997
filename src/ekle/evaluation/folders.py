"""`ekle evaluate`: any model folder against any base, on any text, without a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ekle.artifacts import Scorecard
from ekle.bpe.compare import load_tokenizer
from ekle.errors import InputError, RunFolderError, TextError
from ekle.evaluation.parts import stamp_of
from ekle.evaluation.scorecard import Plan, make_scorecard
from ekle.evaluation.subjects import Subject, is_model
from ekle.evaluation.texts import file_texts
from ekle.evaluation.untouched import record_of
from ekle.files import read_json
from ekle.progress import Report
from ekle.recipe.evaluation import Evaluation


def evaluate_folder(
    model: Path,
    against: Path | str,
    texts: Mapping[str, Path],
    settings: Evaluation,
    out: Path,
    report: Report,
    other: Mapping[str, Path] | None = None,
) -> Scorecard:
    """Measure `model` against `against` and write report.json and report.html into `out`.

    Where one of the two is a tokenizer alone, the tokens are measured and the rest is absent.

    Args:
        model: a model folder with its tokenizer, such as a release, or a tokenizer folder.
        against: the base it was made from, likewise; or "qwen3" or a hub id for a tokenizer alone.
        texts: by name, files or folders in the language that was learned.
        settings: limits and prompts.
        out: a new folder, or one that an interrupted evaluation left.
        report: says what happens.
        other: by name, files or folders in other languages or code, whose cut should not change.

    Raises:
        InputError: no text is named, or a folder is absent.
        TextError: a text cannot be read.
        TokenizerError, CheckpointError: a folder is damaged.
        RunFolderError: `out` holds something else.
    """
    if not texts and not other:
        raise InputError("name at least one text to measure on, with --text FILE")
    if not model.exists():
        raise InputError(f"there is no folder {model}")
    _check_place(out)
    sources = [*texts.values(), *(other or {}).values()]
    measured = file_texts(texts, other or {})
    for source, documents in zip(
        sources, [*measured.held_out.values(), *measured.other.values()], strict=True
    ):
        if not documents:
            raise TextError(f"{source} holds no text to measure on; give another")
    base = Path(against)
    plan = Plan(
        title=model.resolve().name,
        base=load_tokenizer(against),
        extended=load_tokenizer(model),
        subjects=[Subject("base", base), Subject("extended", model)]
        if is_model(model) and is_model(base)
        else [],
        texts=measured,
        settings=settings,
        stamp=stamp_of(settings, [model, base, *sources]),
        record=record_of(model),
        known=_vocabulary(model),
    )
    if not plan.subjects:
        report.say("One of the two is a tokenizer without a model; only tokens are measured")
    out.mkdir(parents=True, exist_ok=True)
    return make_scorecard(plan, out, report)


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
                return {"vocabulary": report}
    return {}
