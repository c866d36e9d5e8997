"""Measuring everything there is to measure, and writing it down once for machines and once for people.

`report.json` has these keys; one that was not measured is absent:

format        1; grows when a key changes its meaning
title, ekle   what was evaluated, and by which version
settings      the recipe's [evaluation]
texts         by kind and name: documents and bytes
models        by model: parameters, and how many of them are rows
vocabulary    what the vocabulary stage reported, without its long lists: size, profile, growth, trades, ...
tokens        see `tokens.measure_tokens`
drift         see `drift.measure_preservation`
untouched     see `untouched.recheck`
likelihood    see `likelihood.compare_losses`; by model
generation    see `generation.generate_samples`; by model
training      `base` and `extended`: the logs of both trainings
verdict       sentences: kind and text

A compared figure is an object with `value`, and `low` and `high` where its 95 % interval is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.artifacts import Scorecard
from ekle.evaluation.beside import measure_beside
from ekle.evaluation.drift import measure_preservation
from ekle.evaluation.generation import generate_samples
from ekle.evaluation.likelihood import Losses, compare_losses, measure_losses
from ekle.evaluation.morphology import measure_morphology
from ekle.evaluation.page.write import write_page
from ekle.evaluation.parts import Parts
from ekle.evaluation.subjects import Subject
from ekle.evaluation.texts import Texts
from ekle.evaluation.tokens import measure_tokens
from ekle.evaluation.untouched import recheck
from ekle.evaluation.verdict import verdict
from ekle.files import write_json
from ekle.progress import Report
from ekle.recipe.evaluation import Evaluation

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What is to be measured; the first of `subjects` is the base, which the others are held against."""

    title: str
    base: Tokenizer
    extended: Tokenizer
    subjects: list[Subject]
    texts: Texts
    settings: Evaluation
    stamp: str
    beside: Mapping[str, Tokenizer] = field(default_factory=dict)
    """Tokenizers of others, by name."""
    learned_from: Sequence[Path] = ()
    """Files and folders of text that vocabulary or training has seen."""
    record: Path | None = None
    """extension.json of the extended model, whose bytes are then checked against it."""
    known: dict[str, Any] = field(default_factory=dict)
    """Further entries of report.json that need no measuring, such as `vocabulary`."""

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """All of them by name, the base and the extended one first."""
        return {"base": self.base, "extended": self.extended, **self.beside}


def make_scorecard(plan: Plan, folder: Path, report: Report) -> Scorecard:
    """Measure `plan`, keeping finished parts in `folder`/parts, and write report.json and report.html.

    Raises:
        CheckpointError: a model cannot be loaded, is broken, or does not belong to its tokenizer.
        SpaceError: the disk is full.
    """
    parts, settings, texts = Parts(folder / "parts", plan.stamp), plan.settings, plan.texts
    figures: dict[str, Any] = {
        "format": FORMAT,
        "title": plan.title,
        "ekle": version("ekle"),
        "settings": settings.model_dump(),
        "texts": {
            kind: {
                name: {"documents": len(documents), "bytes": sum(len(text.encode()) for text in documents)}
                for name, documents in by_name.items()
            }
            for kind, by_name in (("held_out", texts.held_out), ("other", texts.other))
        },
        **plan.known,
    }
    if texts.held_out:
        figures["tokens"] = parts.get(
            "tokens", lambda: measure_tokens(plan.base, plan.extended, texts.held_out, settings)
        )
    if texts.other:
        figures["drift"] = parts.get(
            "drift", lambda: measure_preservation(plan.base, plan.extended, texts.other, settings)
        )
    if texts.held_out or settings.gold:
        figures["morphology"] = parts.get(
            "morphology", lambda: measure_morphology(plan.tokenizers, texts.held_out, settings)
        )
    if plan.beside:
        figures["beside"] = parts.get(
            "beside", lambda: measure_beside(plan.base, plan.beside, texts, settings)
        )
    if plan.record is not None and len(plan.subjects) > 1:
        record, base, extended = plan.record, plan.subjects[0].folder, plan.subjects[1].folder
        figures["untouched"] = parts.get("untouched", lambda: recheck(record, extended, base, report))
    figures |= _models(plan, parts, report)
    figures["verdict"] = [sentence._asdict() for sentence in verdict(figures)]
    write_json(folder / "report.json", figures)
    write_page(figures, folder / "report.html")
    return Scorecard(folder)


def _models(plan: Plan, parts: Parts, report: Report) -> dict[str, Any]:
    """What is measured on each model in turn: `models`, `likelihood` and `generation`."""
    found: dict[str, dict[str, Any]] = {"models": {}, "likelihood": {}, "generation": {}}
    for subject in plan.subjects:
        for key, figures in _model(plan, subject, parts, report).items():
            found[key][subject.name] = figures
    losses: dict[str, Losses] = found["likelihood"]
    found["likelihood"] = compare_losses(losses, list(plan.texts.held_out), plan.settings)
    return {key: figures for key, figures in found.items() if figures}


def _model(plan: Plan, subject: Subject, parts: Parts, report: Report) -> dict[str, Any]:
    """What is measured on one model, which is loaded only if a part is missing."""
    settings, texts = plan.settings, plan.texts.all
    report.say(f"Measuring the {subject.name} model")
    figures: dict[str, Any] = {"models": parts.get(f"size-{subject.name}", subject.size)}
    if texts:
        figures["likelihood"] = parts.get(
            f"likelihood-{subject.name}", lambda: measure_losses(*subject.loaded, texts, settings, report)
        )
    if settings.prompts:
        figures["generation"] = parts.get(
            f"generation-{subject.name}", lambda: generate_samples(*subject.loaded, settings, report)
        )
    subject.close()
    return figures
