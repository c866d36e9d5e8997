"""The page: tables and curves from the results that are there; what is missing is left out and counted."""

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ablation.page import mean_cell, write_lines
from benchmarks.ablation.recipes import comparisons, prose
from benchmarks.ablation.recipes.optimizers import (
    best_rate_seeds,
    cost_of_step,
    rate_search,
    recommended_optimizer,
)
from benchmarks.ablation.recipes.scaling import SizeName
from benchmarks.ablation.recipes.training_runs import RecipeVariant, Result, measure_base, result_of
from benchmarks.ablation.recipes.workspace import Workspace
from benchmarks.curves import Curve, Panel, write_curves
from ekle.recipe.recipe import load_recipe

_AXIS = "steps"


def write_page(out: Path, workspace: Workspace, name: SizeName) -> None:
    """Write `out`, and its curves into a folder of the same name beside it."""
    lines = ["# From the guide's recipe to the recommended one", "", *_head(workspace, name)]
    if missing := sum(not result_of(variant, workspace).exists() for variant in _planned(workspace)):
        lines += ["", f"{missing} runs are still to come; what needs them is not here yet."]
    curves = out.with_suffix("")
    for part in (_rate_scalings, _both_recipes, _differences, _alternatives, _optimisers, _curriculum):
        lines += part(workspace, curves)
    write_lines(out, lines)


def _planned(workspace: Workspace) -> Iterator[RecipeVariant]:
    """All jobs that are known beforehand."""
    size, width = workspace.size, workspace.width
    yield from comparisons.both_recipes(size, width)
    yield from comparisons.rate_scalings(size, width).values()
    for _, into, out_of in comparisons.changes(size, width):
        yield from (into, out_of)
    yield from comparisons.alternatives(size, width).values()
    yield from (variant for variants in rate_search(workspace).values() for variant in variants)
    yield from (variant for variants in comparisons.curriculum(size, width).values() for variant in variants)


def _head(workspace: Workspace, name: SizeName) -> list[str]:
    size, base = workspace.size, measure_base(workspace)
    vocabulary = workspace.vocabulary(load_recipe(comparisons.RECOMMENDED).vocabulary)
    layers = json.loads((workspace.base / "config.json").read_text("utf-8"))["num_hidden_layers"]
    tokens = size.batch * size.accumulation * size.sequence
    return [
        f"Written by `python -m benchmarks.ablation.recipes --size {name}`; one core. The engine of "
        f"`ekle train` runs recipes/{comparisons.GUIDE}.toml and "
        f"recipes/{comparisons.RECOMMENDED}.toml on the base of "
        f"[adaptation.md](adaptation.md) that knows Turkish: Qwen3 architecture, {layers} layers of "
        f"{workspace.width}, untied, {vocabulary.first_new_id:,} rows and {vocabulary.size:,} new ones; "
        f"{size.steps:,} steps of {tokens:,} tokens; schedule, warm-up and replay as in the recipe.",
        "",
        "Bits per byte, lower is better, on Turkish of other sources and on English, "
        f"{size.page // 1000} and {size.english // 1000} KB that nobody learned from and nothing was chosen "
        f"by; the unchanged base has {base['turkish']:.4f} and {base['english']:.4f}. "
        "Base and new rows are the same for all seeds; a seed changes the order of the text, the noise and "
        "the start of the adapters. ± is the standard deviation over seeds; a row without it is one run.",
    ]


def _rate_scalings(workspace: Workspace, curves: Path) -> list[str]:
    found = {
        rate_scaling: _load([variant], workspace)
        for rate_scaling, variant in comparisons.rate_scalings(workspace.size, workspace.width).items()
    }
    if not all(found.values()):
        return []
    lines = ["", "## What carries over to a model of another width", "", *prose.SCALING, ""]
    lines += ["| the guide's rate | rank | rate | of rows | Turkish | worst on the way | English | clipped |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|---:|"]
    for rate_scaling, (result,) in found.items():
        training = result["training"]
        lines.append(
            f"| {rate_scaling} | {training['dora']['rank']} | {training['learning_rate']:.2g} | "
            f"{training['rows_learning_rate']:.2g} | {_end(result):.4f} | "
            f"{max(result['turkish'].values()):.4f} | {_english(result):.4f} | "
            f"{result['clipped_share']:.0%} |"
        )
    write_curves(
        curves / "readings.svg",
        [Panel("the guide's rate", [_curve(name, results) for name, results in found.items()], _AXIS)],
    )
    return [*lines, "", f"![three readings of the guide's rate]({curves.name}/readings.svg)"]


def _both_recipes(workspace: Workspace, curves: Path) -> list[str]:
    variants = comparisons.both_recipes(workspace.size, workspace.width)
    found = {
        name: _load([variant for variant in variants if variant.name == name], workspace)
        for name in (comparisons.GUIDE, comparisons.RECOMMENDED)
    }
    if not all(found.values()):
        return []
    lines = ["", "## Both recipes", "", "| recipe | " + " | ".join(_COLUMNS) + " | seeds |"]
    lines += ["|---" + "|---:" * (len(_COLUMNS) + 1) + "|"]
    for name, results in found.items():
        lines.append(f"| {name} | " + " | ".join(_cells(results)) + f" | {len(results)} |")
    drawn = [_curve(name, results) for name, results in found.items()]
    base = measure_base(workspace)["turkish"]
    if all(_end(result) > base for results in found.values() for result in results):
        lines += ["", f"In so few steps neither comes back to the {base:.4f} of the unchanged base."]
    drawn.append(Curve("unchanged base", [(0, base), (workspace.size.steps, base)]))
    write_curves(curves / "recipes.svg", [Panel("Turkish, mean of the seeds", drawn, _AXIS)])
    return [*lines, "", f"![both recipes]({curves.name}/recipes.svg)"]


def _differences(workspace: Workspace, curves: Path) -> list[str]:
    guide, recommended = load_recipe(comparisons.GUIDE), load_recipe(comparisons.RECOMMENDED)
    both_recipes = comparisons.both_recipes(workspace.size, workspace.width)[:2]
    if not all(_load([variant], workspace) for variant in both_recipes):
        return []
    (whole_guide,), (whole_recommended,) = (_load([variant], workspace) for variant in both_recipes)
    differing = comparisons.differences(guide, recommended)
    lines = ["", "## The differences, one by one", "", prose.BOTH_WAYS, ""]
    lines += ["| difference | guide | recommended | guide with it | | recommended without it | |"]
    lines += ["|---|---|---|---:|---:|---:|---:|"]
    below: list[str] = []
    for difference, into, out_of in comparisons.changes(workspace.size, workspace.width):
        values = [differing[key] for key in difference.keys]
        cells = [difference.name, *(", ".join(_shown(pair[side]) for pair in values) for side in (0, 1))]
        panels = []
        for title, end, whole, variant, word in (
            ("from the guide", "guide", whole_guide, into, "with"),
            ("from the recommended", "recommended", whole_recommended, out_of, "without"),
        ):
            results = _load([variant], workspace)
            if not results:
                cells += ["", ""]
            else:
                cells += [f"{_end(results[0]):.4f}", f"{_end(results[0]) / _end(whole) - 1:+.2%}"]
                drawn = [_curve(end, [whole]), _curve(f"{word} {difference.name}", results)]
                panels.append(Panel(title, drawn, _AXIS))
        lines.append("| " + " | ".join(cells) + " |")
        if panels:
            file = f"{difference.name.replace(' ', '-')}.svg"
            write_curves(curves / file, panels)
            keys = ", ".join(f"`{key}`" for key in difference.keys)
            below += ["", f"**{difference.name}** ({keys}). {difference.why}"]
            below += ["", f"![{difference.name}]({curves.name}/{file})"]
    return [*lines, *below] if below else []


def _alternatives(workspace: Workspace, curves: Path) -> list[str]:
    whole = _load(comparisons.both_recipes(workspace.size, workspace.width)[1:2], workspace)
    found = {
        name: _load([variant], workspace)
        for name, variant in comparisons.alternatives(workspace.size, workspace.width).items()
    }
    if not whole or not any(found.values()):
        return []
    lines = ["", "## What else was tried", "", prose.ALTERNATIVES, ""]
    lines += ["| the recommended recipe with | settings | Turkish to choose on | | Turkish | | English | |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|---:|"]
    for name, results in {"": whole, **found}.items():
        for result in results:
            settings = comparisons.ALTERNATIVES.get(name, {})
            cells = [
                name or "nothing else",
                ", ".join(f"`{key} = {value}`" for key, value in settings.items()),
            ]
            for value in (_choose, _end, _english):
                cells += [f"{value(result):.4f}", f"{value(result) / value(whole[0]) - 1:+.2%}"]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _optimisers(workspace: Workspace, curves: Path) -> list[str]:
    tried = rate_search(workspace)
    if not all(result_of(variant, workspace).exists() for variants in tried.values() for variant in variants):
        return []
    lines = ["", "## Sophia, AdamW, Muon at equal compute", "", prose.OPTIMISERS, ""]
    lines += ["| optimiser | steps | rates tried: Turkish to choose on | best | Turkish | English | seeds |"]
    lines += ["|---|---:|---|---:|---:|---:|---:|"]
    drawn = []
    for optimizer, variants in tried.items():
        found = {
            variant.recipe.training.learning_rate: _load([variant], workspace)[0]["choose"]
            for variant in variants
        }
        results = _load(best_rate_seeds(optimizer, workspace), workspace)
        training = results[0]["training"]
        lines.append(
            f"| {optimizer} | {training['steps']} | "
            f"{', '.join(f'{rate:.2g}: {bits:.4f}' for rate, bits in found.items())} | "
            f"{training['learning_rate']:.2g} | {mean_cell([_end(result) for result in results])} | "
            f"{mean_cell([_english(result) for result in results])} | {len(results)} |"
        )
        relative = cost_of_step(optimizer, workspace) / cost_of_step(recommended_optimizer(), workspace)
        points = _curve(optimizer, results).points
        drawn.append(Curve(optimizer, [(step * relative, bits) for step, bits in points]))
    panel = Panel("Turkish, mean of the seeds", drawn, f"compute, in steps of {recommended_optimizer()}")
    write_curves(curves / "optimisers.svg", [panel])
    return [*lines, "", f"![three optimisers]({curves.name}/optimisers.svg)"]


def _curriculum(workspace: Workspace, curves: Path) -> list[str]:
    orders = comparisons.curriculum(workspace.size, workspace.width)
    found = {name: _load(variants, workspace) for name, variants in orders.items()}
    if not all(len(found[name]) == len(variants) for name, variants in orders.items()):
        return []
    lines = ["", "## Easy text first", "", prose.CURRICULUM, ""]
    lines += ["| order | Turkish | English | seed by seed, against shuffled | |", "|---|---:|---:|---|---|"]
    for name, results in found.items():
        gains = [_end(one) / _end(other) - 1 for one, other in zip(results, found["shuffled"], strict=True)]
        verdict = "" if name == "shuffled" else _verdict(gains)
        lines.append(
            f"| {name} | {mean_cell([_end(result) for result in results])} | "
            f"{mean_cell([_english(result) for result in results])} | "
            f"{', '.join(f'{gain:+.2%}' for gain in gains)} | {verdict} |"
        )
    drawn = [_curve(name, results) for name, results in found.items()]
    write_curves(curves / "curriculum.svg", [Panel("Turkish, mean of the seeds", drawn, _AXIS)])
    return [*lines, "", f"![easy text first]({curves.name}/curriculum.svg)"]


def _verdict(gains: Sequence[float]) -> str:
    """Whether every seed says the same."""
    if all(gain < 0 for gain in gains):
        return "beats shuffling"
    return "loses to shuffling" if all(gain > 0 for gain in gains) else "no difference that all seeds show"


def _curve(name: str, results: Sequence[Result]) -> Curve:
    """The mean over seeds at each step that all have."""
    steps = [int(step) for step in results[0]["turkish"]]
    means = [(step, statistics.fmean(result["turkish"][str(step)] for result in results)) for step in steps]
    return Curve(name, means)


_COLUMNS = ["step 0", "Turkish", "English", "clipped"]


def _cells(results: Sequence[Result]) -> list[str]:
    clipped = [result["clipped_share"] for result in results if result["clipped_share"] is not None]
    return [
        f"{statistics.fmean(result['turkish']['0'] for result in results):.4f}",
        mean_cell([_end(result) for result in results]),
        mean_cell([_english(result) for result in results]),
        f"{statistics.fmean(clipped):.0%}" if clipped else "",
    ]


def _end(result: Result) -> float:
    return float(result["turkish"][str(result["training"]["steps"])])


def _english(result: Result) -> float:
    return float(result["english"][str(result["training"]["steps"])])


def _choose(result: Result) -> float:
    return float(result["choose"])


def _load(variants: Sequence[RecipeVariant], workspace: Workspace) -> list[Result]:
    paths = [result_of(variant, workspace) for variant in variants]
    return [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]


def _shown(value: Any) -> str:
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
