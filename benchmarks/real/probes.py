"""The part `probes`: short trainings behind the start rule, with one setting changed in each."""

import shutil
from collections.abc import Mapping
from typing import Any

from benchmarks.real.parts import Result
from benchmarks.real.run import started
from benchmarks.real.sizes import Size
from benchmarks.real.training import train_extended, training_recipe, training_settings
from benchmarks.real.workspace import Workspace
from ekle.files import read_json


def probes(size: Size) -> dict[str, Mapping[str, Any]]:
    """By name, what differs from the settings of `training_settings`; the first changes nothing."""
    rank = 4 * size.rank
    return {
        "as they are": {},
        "rate of rows / 10": {"rows_learning_rate": size.rows_rate / 10},
        "rate of rows / 100": {"rows_learning_rate": size.rows_rate / 100},
        f"rank {rank}": {"dora": {"rank": rank, "alpha": float(rank), "rslora": False}},
        "Muon": {"optimizer": "muon", "learning_rate": 10 * size.rate},
        "rows first, 20 % of the steps": {"rows_first": 0.2},
        "merge dropout 0.1": {"merge_dropout": 0.1},
        "replay 10 %": {"replay_share": 0.1},
    }


def keep_probes(space: Workspace) -> None:
    """Measure the start on the validation text, and then each probe."""
    size = space.size
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
    for name, changes in probes(size).items():
        space.reporter.say(f"probe: {name}")
        settings = training_settings(size, steps, 1, **changes)

        def make(name: str = name, settings: dict[str, Any] = settings) -> Result:
            folder = space.work / "probes" / name.replace(" ", "-").replace("/", "by")
            recipe = training_recipe(size, settings)
            checkpoint = train_extended(recipe, space.text.learn, extended, folder, space.reporter)
            about = read_json(folder / "training.json")
            figures = {key: about[key] for key in ("steps", "tokens", "flops", "seconds") if key in about}
            found = {"probe": name, **figures, **space.bits(extended.model, "validation", checkpoint)}
            shutil.rmtree(folder)
            return found

        space.parts.keep(f"probes/{name}", {**inputs, "training": settings}, make)
