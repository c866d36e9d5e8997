"""Measuring everything there is to measure, and writing it down once for machines and once for people.

`report.json` has the keys that docs/report.md lists; one that was not measured is absent. A compared figure
is an object with `value`, and `low` and `high` where its 95 % interval is known.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from ekle.artifacts import Scorecard
from ekle.bpe.spans import is_byte_level
from ekle.evaluation.beside import measure_beside
from ekle.evaluation.criteria import criteria
from ekle.evaluation.drift import measure_preservation
from ekle.evaluation.models import measure_models
from ekle.evaluation.morphology import measure_morphology
from ekle.evaluation.names import FORMAT
from ekle.evaluation.overlap import measure_overlap
from ekle.evaluation.page.write import write_page
from ekle.evaluation.parts import Parts
from ekle.evaluation.plan import Plan, measured_on
from ekle.evaluation.texts import about
from ekle.evaluation.tokens import measure_tokens
from ekle.evaluation.untouched import recheck
from ekle.evaluation.verdict import verdict
from ekle.files import write_json
from ekle.progress import Report


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
            kind: {name: about(documents) for name, documents in by_name.items()}
            for kind, by_name in (("held_out", texts.held_out), ("other", texts.other))
        },
        "provenance": plan.provenance,
        **plan.known,
    }
    if texts.held_out:
        figures["tokens"] = parts.get(
            "tokens", lambda: measure_tokens(plan.base, plan.extended, texts.held_out, settings)
        )
    # Only tokens that spell raw bytes can be held against each other: others may spell one piece in two ways.
    if texts.other and is_byte_level(plan.base) and is_byte_level(plan.extended):
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
    if plan.record is not None:
        record, base = plan.record, plan.subjects[0].folder if plan.subjects else None
        figures["untouched"] = parts.get("untouched", lambda: recheck(record, base, report))
    if plan.learned_from:
        figures["overlap"] = parts.get(
            "overlap", lambda: measure_overlap(measured_on(plan), plan.learned_from, report)
        )
    figures |= measure_models(plan, parts, report)
    figures["criteria"] = criteria(figures)
    figures["verdict"] = [sentence._asdict() for sentence in verdict(figures)]
    write_json(folder / "report.json", figures)
    write_page(figures, folder / "report.html")
    return Scorecard(folder)
