"""The part `probes`: short trainings behind the start rule, with other settings in each."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.real.parts import Result, chosen
from benchmarks.real.run import started
from benchmarks.real.sizes import Size
from benchmarks.real.training import train_extended, training_recipe, training_settings
from benchmarks.real.workspace import Workspace
from ekle.evaluation.report.control import curve_points
from ekle.files import read_json


def probes(size: Size) -> dict[str, Mapping[str, Any]]:
    """By name, what differs from the settings of `training_settings`."""
    rank, together = 4 * size.rank, {"shared_rows": True}
    return {
        "rows together": together,
        "rows together, rate x 3": {**together, "rows_learning_rate": 3 * size.rows_rate},
        "each row by itself": {},
        "each row by itself, rate / 100": {"rows_learning_rate": size.rows_rate / 100},
        f"rank {rank}": {**together, "dora": {"rank": rank, "alpha": float(rank), "rslora": False}},
        "Muon": {**together, "optimizer": "muon", "learning_rate": 10 * size.rate},
        "merge dropout 0.1": {**together, "merge_dropout": 0.1},
        "replay 10 %": {**together, "replay_share": 0.1},
    }


def keep_probes(space: Workspace, names: Sequence[str] | None = None) -> None:
    """Measure the start on the validation text, and then each probe, or those of `names`.

    Raises:
        InputError: there is no probe of that name.
    """
    size = space.size
    wanted = chosen(probes(size), names, "probe")
    rule = size.rule(size.start)
    extended, _ = started(space)
    inputs = {
        "rule": dict(rule.settings),
        "base": space.settled_digests["tied"],
        "vocabulary": space.vocabulary_digest(),
        "text": space.text_digest,
    }
    base = {"base": space.settled_digests["tied"], "text": space.text.digest("validation")}
    space.parts.keep("probes/base", base, lambda: space.bits(space.settled["tied"], "validation"))
    space.parts.keep("probes/start", inputs, lambda: space.bits(extended.model, "validation"))
    steps = size.steps(size.probe_tokens)
    for name, changes in wanted.items():
        space.reporter.say(f"probe: {name}")
        settings = training_settings(size, steps, 1, **changes)

        def make(name: str = name, settings: dict[str, Any] = settings) -> Result:
            folder = space.work / "probes" / name.replace(" ", "-").replace("/", "by")
            recipe = training_recipe(size, settings)
            checkpoint = train_extended(recipe, space.text.learn, extended, folder, space.reporter)
            about = read_json(folder / "training.json")
            figures = {key: about[key] for key in ("steps", "tokens", "flops", "seconds") if key in about}
            held_out = [point.bits_per_byte for point in curve_points(checkpoint.history)]
            figures["held_out"] = [held_out[0], held_out[-1]]  # the weights are those of the better one
            found = {"probe": name, **figures, **space.bits(extended.model, "validation", checkpoint)}
            shutil.rmtree(folder)
            return found

        space.parts.keep(f"probes/{name}", {**inputs, "training": settings}, make)
