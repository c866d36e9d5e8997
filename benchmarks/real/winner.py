"""The parts `winner` and `report`: one run of ekle with a control, compared by compute and by text."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from benchmarks.real.fit import Fit, Kind, crossing, fit
from benchmarks.real.parts import Result, digest_of
from benchmarks.real.run import NAME, content_of, recipe_file, run_folder, run_until
from benchmarks.real.workspace import Workspace
from ekle.artifacts import BaseModel, Checkpoint, Corpus
from ekle.artifacts.evaluation_report import CurvePoint
from ekle.evaluation.report.control import compare_curves, curve_points
from ekle.files import read_json
from ekle.recipe import Recipe, make_recipe
from ekle.training import control, stage

_FURTHER = 1_000.0
"""How many times the compute of a run a fit is carried on at most."""


def keep_winner(space: Workspace, seeds: int) -> None:
    """Train ours and the control, the first seed as a run of ekle, the others from its extended model."""
    content = content_of(space)
    inputs = {
        "base": space.settled_digests["tied"],
        "text": space.text_digest,
        "vocabulary": space.vocabulary_digest(),
        "rule": content["extension"],
        "training": content["training"],
    }
    for seed in range(seeds):
        space.reporter.say(f"winner: seed {seed}")

        def make(seed: int = seed) -> Result:
            ours, own = _trained(space, make_recipe({**content, "seed": seed}), seed)
            return _compared(space, ours, own)

        space.parts.keep(f"winner/seed {seed}", {**inputs, "seed": seed}, make)


def _trained(space: Workspace, recipe: Recipe, seed: int) -> tuple[Checkpoint, Checkpoint]:
    """Ours and the control, both trained."""
    if seed == 0:
        at = run_until(space, "control")
        return at.checkpoint, Checkpoint(at.place("control"), has_new_rows=False)
    at, folder = run_folder(space), space.work / "seeds" / str(seed)
    for part in ("training", "control"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    corpus, base = Corpus(at.place("corpus")), BaseModel(at.place("base"), NAME)
    inputs = stage.Inputs(corpus, at.extended)
    ours = stage.run(recipe, inputs, folder / "training", space.reporter)
    of_control = control.Inputs(corpus, base, at.extended, ours)
    return ours, control.run(recipe, of_control, folder / "control", space.reporter)


def _compared(space: Workspace, ours: Checkpoint, own: Checkpoint) -> Result:
    """Bits per byte of both on the test text, and their curves on the validation text."""
    base, extended = space.settled["tied"], run_folder(space).extended
    curves = {"ours": curve_points(ours.history), "control": curve_points(own.history)}
    about = {
        name: read_json(one.folder / "training.json") for name, one in (("ours", ours), ("control", own))
    }
    kept = ("steps", "tokens", "flops", "seconds", "flops_of_extension", "budget_flops")
    return {
        "base": space.bits(base, "test"),
        "start": space.bits(extended.model, "test"),
        "ours": space.bits(extended.model, "test", ours),
        "control": space.bits(base, "test", own),
        "about": {name: {key: one[key] for key in kept if key in one} for name, one in about.items()},
        "curves": {name: [point.model_dump() for point in points] for name, points in curves.items()},
        "compared": {
            "operations": compared_by(curves, "flops"),
            "bytes": compared_by(curves, "text_bytes"),
        },
    }


def compared_by(curves: Mapping[str, Sequence[CurvePoint]], key: Literal["flops", "text_bytes"]) -> Result:
    """How `ours` compares with the `control` by `key`: inside of the run, and by fits beyond it.

    Returns:
        `end`, which both reach; `difference` of bits there, as a share; `crossing` inside of the run, or
        None; `fits` by kind, where both curves have one, each with the place where they cross, or None.
    """
    ours, own = (
        [(float(getattr(point, key) or 0), point.bits_per_byte) for point in curves[name]]
        for name in ("ours", "control")
    )
    end, difference, place = compare_curves(ours, own)
    fits: Result = {}
    for kind in get_args(Kind):
        both = fit(ours, kind), fit(own, kind)
        if both[0] is not None and both[1] is not None:
            fits[kind] = _beyond(both[0], both[1], end)
    return {"end": end, "difference": difference, "crossing": place, "fits": fits}


def _beyond(ours: Fit, own: Fit, end: float) -> Result:
    found = crossing(ours.at, own.at, end, _FURTHER * end)
    return {
        "ours": vars(ours),
        "control": vars(own),
        "crossing": found,
        "further": _FURTHER,
    }


def keep_report(space: Workspace) -> None:
    """Finish the run: its evaluation with every section that the data allows, and its release."""
    content = content_of(space)
    inputs = {
        "base": space.settled_digests["tied"],
        "text": space.text_digest,
        "rule": content["extension"],
        "training": content["training"],
        "evaluation": digest_of(content["evaluation"]),
    }

    def make() -> Result:
        at = run_until(space, "release")
        file = recipe_file(space)
        report = at.scorecard.report
        sections = [name for name in type(report).model_fields if getattr(report, name) not in (None, {}, [])]
        return {
            "recipe": _without_places(space, file.read_text("utf-8")),
            "command": f"ekle run WORK/{file.name} --runs WORK/runs --control",
            "sections": sections,
            "empty": sorted({*type(report).model_fields} - {*sections}),
            "verdict": [_without_places(space, sentence.text) for sentence in report.verdict],
        }

    space.parts.keep("report", inputs, make)


def _without_places(space: Workspace, text: str) -> str:
    """`text` with names in place of the folders of this machine."""
    named = {"BASE": space.settled["tied"], "DATA": space.data, "WORK": space.work}
    for name, folder in sorted(named.items(), key=lambda item: -len(str(item[1]))):
        for path in dict.fromkeys((str(folder.resolve()), str(folder))):
            text = text.replace(path, name)
    return text
