"""Run an evaluation: measure a plan and write it down, or plan it from model folders that the user names."""

import re
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from ekle.artifacts import Checkpoint, Scorecard, Vocabulary
from ekle.artifacts.evaluation_report import (
    CONTROL,
    FORMAT,
    HUMAN_TEXT,
    OURS,
    Contamination,
    EvaluationReport,
    MeasuredTexts,
    Morphology,
    Peer,
    Preservation,
    TextDrift,
    TokenSavings,
    VocabularySummary,
)
from ekle.bpe.base import load_tokenizer
from ekle.bpe.segmentation import is_byte_level
from ekle.errors import InputError, RunFolderError, TextError
from ekle.evaluation.cache import FigureCache, stamp_of
from ekle.evaluation.evaluated_models import EvaluatedModel, check_tokenizer_matches, is_model
from ekle.evaluation.model.measure import measure_models
from ekle.evaluation.plan import EvaluationPlan, check_text_names, evaluated_texts, read_named_files
from ekle.evaluation.report.control import compare_with_control
from ekle.evaluation.report.criteria import criteria
from ekle.evaluation.report.page.write import write_page
from ekle.evaluation.report.verdict import verdict
from ekle.evaluation.texts import Texts, describe_text, file_texts
from ekle.evaluation.tokenizer.drift import measure_text_drift
from ekle.evaluation.tokenizer.morphology import measure_morphology
from ekle.evaluation.tokenizer.peers import measure_peers
from ekle.evaluation.tokenizer.savings import measure_savings
from ekle.evaluation.trust.contamination import measure_contamination
from ekle.evaluation.trust.preservation import extension_record, verify_preserved
from ekle.evaluation.trust.provenance import EarlierStages, provenance, vocabulary_summary
from ekle.files import read_json
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings
from ekle.text.documents import TextReader


def run_evaluation(plan: EvaluationPlan, folder: Path, reporter: ProgressReporter) -> Scorecard:
    """Measure `plan`, keeping finished parts in `folder`/parts, and write report.json and report.html.

    Raises:
        CheckpointError: a model cannot be loaded, is broken, or does not belong to its tokenizer.
        SpaceError: the disk is full.
    """
    parts, settings, texts = FigureCache(folder / "parts", plan.stamp), plan.settings, plan.texts
    # Only tokens that spell raw bytes can be compared: others may spell the same text in two ways.
    alike = is_byte_level(plan.base) and is_byte_level(plan.extended)
    tokens = (
        parts.get(
            "tokens",
            TokenSavings,
            lambda: measure_savings(plan.base, plan.extended, texts.held_out, settings),
        )
        if texts.held_out
        else None
    )
    drift = (
        parts.get(
            "drift",
            dict[str, TextDrift],
            lambda: measure_text_drift(plan.base, plan.extended, texts.other, settings),
        )
        if texts.other and alike
        else None
    )
    morphology = (
        parts.get(
            "morphology",
            Morphology,
            lambda: measure_morphology(plan.tokenizers, texts.held_out, settings),
        )
        if texts.held_out or settings.gold
        else None
    )
    peers = (
        parts.get("peers", dict[str, Peer], lambda: measure_peers(plan.base, plan.peers, texts, settings))
        if plan.peers
        else None
    )
    record, base = plan.record, plan.models[0].folder if plan.models else None
    preservation = (
        parts.get("preservation", Preservation, lambda: verify_preserved(record, base, reporter))
        if record is not None
        else None
    )
    contamination = (
        parts.get(
            "contamination",
            dict[str, Contamination],
            lambda: measure_contamination(
                evaluated_texts(plan), plan.learned_from, reporter, plan.reader, plan.own
            ),
        )
        if plan.learned_from
        else None
    )
    measured = EvaluationReport(
        format=FORMAT,
        title=plan.title,
        ekle=version("ekle"),
        settings=settings.model_dump(),
        texts=MeasuredTexts(
            held_out={name: describe_text(documents) for name, documents in texts.held_out.items()},
            other={name: describe_text(documents) for name, documents in texts.other.items()},
        ),
        provenance=plan.provenance,
        **vars(plan.earlier),
        control=compare_with_control(plan.earlier.training),
        tokens=tokens,
        drift=drift,
        morphology=morphology,
        peers=peers,
        preservation=preservation,
        contamination=contamination,
        **vars(measure_models(plan, parts, reporter)),
        criteria=[],
        verdict=[],
    )
    judged = measured.model_copy(update={"criteria": criteria(measured)})
    report = judged.model_copy(update={"verdict": verdict(judged)})
    report.write(folder / "report.json")
    write_page(report, folder / "report.html")
    return Scorecard(folder)


_NAME = re.compile(r"[\w.+@-][\w.+@ -]*")  # a name is a key of the report and part of a file's name


def evaluate_folder(
    model: Path,
    against: Path | str,
    texts: Mapping[str, Path],
    settings: EvaluationSettings,
    out: Path,
    reporter: ProgressReporter,
    other: Mapping[str, Path] | None = None,
    *,
    trained: Path | None = None,
    control: Checkpoint | None = None,
    peers: Mapping[str, Path | str] | None = None,
    learned_from: Sequence[Path] = (),
    earlier: EarlierStages | None = None,
    reader: TextReader | None = None,
    own: Collection[Path] = (),
) -> Scorecard:
    """Measure `model` against `against` and write report.json and report.html into `out`.

    Where one of the two is a tokenizer alone, only tokens are measured. The bytes of an extended model are
    still checked against the record of the extension.

    Args:
        model: a model folder with its tokenizer, such as a release, or a tokenizer folder.
        against: the base it was made from, likewise; or "qwen3" or a hub id for a tokenizer alone.
        texts: by name, files or folders in the language that was learned.
        settings: limits and prompts.
        out: a new folder, or one that an interrupted evaluation left.
        reporter: receives progress.
        other: by name, files or folders in other languages or code, whose tokenization should not change.
        trained: the model folder that training made of `model`.
        control: a training of `against` with its own tokenizer.
        peers: by name, further models or tokenizers, measured by the same metrics.
        learned_from: text that vocabulary or training has seen; what the texts share with it is counted.
        earlier: what earlier stages reported; a vocabulary's report next to `model` is found without it.
        reader: reads the texts that the user names; one that says what it leaves out if not given.
        own: texts that ekle wrote, which have fields of their own.

    Raises:
        InputError: no text is named, a folder is absent, or a name is invalid or in use.
        TextError: a text cannot be read, or gold or pairs are not in a known form.
        TokenizerError, CheckpointError: a folder is damaged, or its tokenizer and its rows disagree.
        RunFolderError: `out` holds something else.
    """
    if not texts and not other:
        raise InputError("name at least one text to measure on, with --held-out FILE")
    check_text_names([*texts, *(other or {})])
    if not model.exists():
        raise InputError(f"there is no folder {model}")
    peers, reader = peers or {}, reader or TextReader(reporter.say)
    _check_names(peers)
    _check_place(out)
    tasks = read_named_files(settings)
    sources = [*texts.values(), *(other or {}).values()]
    measured = _texts(texts, other or {}, reader, own)
    base = Path(against)
    models = [EvaluatedModel("base", base), EvaluatedModel("extended", model)]
    models += [EvaluatedModel("trained", trained)] if trained is not None else []
    models += [EvaluatedModel(CONTROL, base, control)] if control is not None else []
    models += [EvaluatedModel(name, Path(place)) for name, place in peers.items() if is_model(Path(place))]
    if not (is_model(model) and is_model(base)):
        models = []
        reporter.say("One of the two is a tokenizer without a model; only tokens are measured")
    tokenizers = {name: load_tokenizer(place) for name, place in peers.items()}
    record = extension_record(model)
    for evaluated in models:
        evaluated.check()
    for evaluated in models[1:]:
        if evaluated.name in OURS:
            recorded = evaluated.folder == model and record is not None
            check_tokenizer_matches(
                evaluated.folder, load_tokenizer(evaluated.folder), base, recorded=recorded
            )
    places = {"base": against, "extended": model, **({"trained": trained} if trained else {}), **peers}
    weights = {**places, **({CONTROL: control.adapter} if control else {})}
    places |= {CONTROL: control.folder} if control else {}
    before, after = load_tokenizer(against), load_tokenizer(model)
    origin = provenance(places, {"base": before, "extended": after, **tokenizers}, settings)
    plan = EvaluationPlan(
        title=model.resolve().name,
        base=before,
        extended=after,
        models=models,
        texts=measured,
        settings=settings,
        stamp=stamp_of(
            {
                "settings": settings.model_dump(),
                "provenance": origin.dump(),
                "places": _where(places),
                "texts": _where(texts),
                "other": _where(other or {}),
                "learned_from": [str(path.absolute()) for path in learned_from],
                "reader": [reader.text_field, reader.keep_misdecoded],
            },
            [
                *map(Path, (*weights.values(), *settings.files)),
                *sources,
                *learned_from,
                *([record] if record else []),
            ],
        ),
        provenance=origin,
        peers=tokenizers,
        tasks=tasks,
        learned_from=list(learned_from),
        reader=reader,
        own=own,
        record=record,
        earlier=EarlierStages(
            earlier.vocabulary if earlier and earlier.vocabulary else _vocabulary(model),
            earlier.training if earlier else None,
        ),
    )
    out.mkdir(parents=True, exist_ok=True)
    return run_evaluation(plan, out, reporter)


def _texts(
    texts: Mapping[str, Path], other: Mapping[str, Path], reader: TextReader, own: Collection[Path]
) -> Texts:
    """The texts to measure on; none is empty."""
    measured = file_texts(texts, other, reader, own)
    for source, documents in zip(
        [*texts.values(), *other.values()],
        [*measured.held_out.values(), *measured.other.values()],
        strict=True,
    ):
        if not documents:
            raise TextError(f"{source} holds no text to measure on; give another")
    return measured


def _where(places: Mapping[str, Path | str]) -> dict[str, str]:
    """Absolute paths by name; what is no file or folder is a name already."""
    return {
        name: str(Path(place).absolute()) if Path(place).exists() else str(place)
        for name, place in places.items()
    }


def _check_names(peers: Mapping[str, Path | str]) -> None:
    for name in peers:
        if name in (*OURS, CONTROL, HUMAN_TEXT):
            raise InputError(
                f"{name} is a name that the report needs itself; give --peer another NAME=FOLDER"
            )
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name for a report; give --peer NAME=FOLDER a plain one")


def _check_place(out: Path) -> None:
    """Refuse a folder that is neither new nor an evaluation's."""
    if not out.exists():
        return
    ours = {"parts", "report.json", "report.html"}
    if not out.is_dir() or not {item.name for item in out.iterdir()} <= ours:
        raise RunFolderError(f"{out} holds something else; give another --out")


def _vocabulary(model: Path) -> VocabularySummary | None:
    """The vocabulary stage's report, where `model` is a vocabulary folder or its tokenizer."""
    for path in (model / "report.json", model.parent / "report.json"):
        if path.is_file():
            report = read_json(path)
            if isinstance(report, dict) and "growth" in report:
                return vocabulary_summary(Vocabulary(path.parent).report)
    return None
