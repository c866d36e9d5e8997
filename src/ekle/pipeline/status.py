"""What a run has made so far: one row per stage, with the few figures that people ask for first."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

from ekle.artifacts import Checkpoint, Scorecard, Stage
from ekle.artifacts.evaluation_report import ALL_HELD_OUT, CONTROL, EvaluationReport
from ekle.errors import InputError, RunFolderError
from ekle.files import read_json
from ekle.page.formatting import size
from ekle.page.training_log import training_summary
from ekle.pipeline.run_folder import RunFolder


@dataclass(frozen=True)
class StageStatus:
    """One stage of a run."""

    stage: Stage
    state: Literal["made", "begun", "open"]
    seconds: float | None = None
    bytes: int | None = None
    figures: str = ""
    finished: str = ""


def read_status(folder: Path) -> list[StageStatus]:
    """The stages of the run in `folder`, in their order.

    Raises:
        RunFolderError: the folder is no run.
    """
    at = RunFolder(folder)
    if not at.is_run():
        raise RunFolderError(f"{folder} is no run folder; ekle run makes one, such as runs/quickstart")
    return [_row(stage, at) for stage in at.stages]


def training_status(folder: Path, stage: Literal["training", "control"] = "training") -> dict[str, str]:
    """How the training of the run in `folder`, or of its control, went or goes, by subject; empty before its
    first line."""
    checkpoint = Checkpoint(RunFolder(folder).place(stage))
    has_log = (checkpoint.folder / "history.jsonl").exists()
    return training_summary(checkpoint.history) if has_log else {}


def _row(stage: Stage, at: RunFolder) -> StageStatus:
    manifest = at.manifest(stage)
    if manifest:
        figures = key_figures(stage, at)
        return StageStatus(stage, "made", manifest.seconds, manifest.bytes, figures, manifest.finished)
    place = at.place(stage)
    return StageStatus(stage, "begun" if place.is_dir() and any(place.iterdir()) else "open")


def key_figures(stage: Stage, at: RunFolder) -> str:
    """A few words on what a finished stage made; figures that it did not record are left out."""
    place = at.place(stage)
    match stage:
        case "corpus":
            about = _read(place / "corpus.json")
            return _joined(_count(about, "documents"), _size(about, "bytes"), _count(about, "words"))
        case "vocabulary":
            about = _read(place / "report.json")
            return _joined(_count(about, "size", "new tokens"), _saved(about.get("held_out", {})))
        case "base":
            about = _read(place / "base.json")
            return _joined(str(about.get("name", "")), _count(about, "rows"))
        case "extension":
            about = _read(place / "extension.json")
            return _joined(_count(about, "rows"), f"init {about['init']}" if "init" in about else "")
        case "training" | "control":
            return _training(Checkpoint(place))
        case "evaluation":
            return _evaluation(Scorecard(place))
        case "release":
            manifest = at.manifest(stage)
            return size(manifest.bytes) if manifest else ""
        case _:
            assert_never(stage)


def _training(checkpoint: Checkpoint) -> str:
    if not (checkpoint.folder / "history.jsonl").exists():
        return ""
    history = checkpoint.history
    steps = max((int(entry["step"]) for entry in history if "step" in entry), default=0)
    measured = [entry["held_out_bits_per_byte"] for entry in history if "held_out_bits_per_byte" in entry]
    return _joined(f"{steps:,} steps", _from_to(measured))


def _evaluation(scorecard: Scorecard) -> str:
    if not (scorecard.folder / "report.json").exists():
        return ""
    try:
        report = scorecard.report
    except InputError:  # the other stages are to be shown all the same
        return "a report that this ekle does not read"
    saved = f"{_percent(-report.tokens.all_held_out.saved.value)} tokens" if report.tokens else ""
    return _joined(saved, _from_to(_losses(report)))


def _losses(report: EvaluationReport) -> list[float]:
    """Bits per byte of the held-out text with each model but the control, the base first."""
    return [
        texts[ALL_HELD_OUT].bits_per_byte.value
        for name, texts in (report.likelihood or {}).items()
        if ALL_HELD_OUT in texts and name != CONTROL
    ]


def bits_per_byte(at: RunFolder) -> list[float]:
    """Bits per byte of a run's held-out text with each model, the base first; none before its evaluation."""
    made = at.manifest("evaluation") and (at.scorecard.folder / "report.json").is_file()
    return _losses(at.scorecard.report) if made else []


def held_out_tokens(at: RunFolder) -> tuple[int, int] | None:
    """Tokens of the held-out text of a run, with the base's tokenizer and with the new one."""
    genres = at.vocabulary.report["held_out"].values()
    before = sum(int(genre["tokens_base"]) for genre in genres)
    return (before, sum(int(genre["tokens"]) for genre in genres)) if before else None


def _from_to(losses: list[float]) -> str:
    return f"{losses[0]:.3f} -> {losses[-1]:.3f} bits per byte" if len(losses) > 1 else ""


def _saved(genres: dict[str, dict[str, Any]]) -> str:
    """Tokens saved on the held-out text of all genres."""
    before = sum(genre["tokens_base"] for genre in genres.values())
    after = sum(genre["tokens"] for genre in genres.values())
    return f"{_percent(after / before - 1)} tokens held-out" if before else ""


def _percent(share: float) -> str:
    return f"{share:+.1%}".replace("%", " %")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content: dict[str, Any] = read_json(path)
    return content


def _count(about: dict[str, Any], key: str, called: str | None = None) -> str:
    return f"{about[key]:,} {called or key}" if isinstance(about.get(key), int) else ""


def _size(about: dict[str, Any], key: str) -> str:
    return size(about[key]) if isinstance(about.get(key), int) else ""


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
