"""docs/recommended.md: tables and curves from the results that are there; missing runs are counted."""

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ablation.recipes import comparisons
from benchmarks.ablation.recipes.optimizers import (
    best_rate_seeds,
    cost_of_step,
    rate_search,
    recommended_optimizer,
)
from benchmarks.ablation.recipes.scaling import TrainingSizeName
from benchmarks.ablation.recipes.training_runs import RecipeVariant, Result, measure_base, result_of
from benchmarks.ablation.recipes.workspace import Workspace
from benchmarks.curves import Curve, Panel, write_curves
from benchmarks.markdown import mean_cell, paragraph, publish
from ekle.recipe.recipe import load_recipe

_AXIS = "steps"

_SCALING = """\
The model here is some forty times narrower than Qwen3-8B. Shares, counts and the scale alpha / sqrt(rank)
are those of the recipe; the rank shrinks with the width. The question is the rate. An optimiser that
moves every number by about the rate moves the outputs of a layer by rate x scale x rank through B, and by
rate x width through A, if all numbers pull in one direction. *By width*, the rate is raised by the ratio
of the widths, so that a step here does what it does in Qwen3-8B (the rule of Yang et al. 2022,
arXiv:2203.03466); the rate of the new rows is raised by its square root. *Unchanged*, the rate is the
recipe's number, and a step is some forty times gentler. *Rank unchanged* keeps rank 512, too, and with it
the effect of a step through B. If the numbers pulled in independent directions, the square root alone
would be right. So the truth for 8B is between the first two rows, and nothing here says where. All else
on this page is scaled by width.

These do not carry over: the guide's step has 32 times as many tokens, and its run has ten times as many
steps, so Sophia's curvature is the mean of more and better estimates. NEFTune's noise is scaled as in the
paper, but embedding rows here are not as long as Qwen3's, and sequences are shorter. Everything is in 32
bits. This base has seen a few million tokens, Qwen3 trillions.
"""
_BOTH_WAYS = (
    "From both ends, one run each (seed 0): the guide's recipe with this one difference, and the recommended "
    "recipe without it. Where the guide's rate spoils the model, other differences hardly show. For all but "
    "rate and scale, look at the second."
)
_OPTIMISERS = (
    "The recommended recipe with each optimiser. The budget is the floating-point operations of the "
    "recommended one's steps; Sophia's passes for the curvature and Muon's Newton-Schulz iterations are paid "
    "from it. Each optimiser runs at several rates (of the adapters, scaled to this model; the rows' rate "
    "moves with it), seed 0. The best rate on the validation text then runs with all seeds."
)
_CURRICULUM = (
    'The recommended recipe with its text in random order, and with `training.curriculum.pacing = "root"`: '
    "first the easiest tenth of the documents, and all of them after half of the steps."
)
_ALTERNATIVES = (
    "One run each (seed 0) with as many steps as the recommended recipe; the compute of distilling and "
    "aligning comes on top. The validation text would decide which of them to take."
)


def write_page(out: Path, workspace: Workspace, name: TrainingSizeName) -> None:
    """Write `out`, and its curves into the folder next to it that has its name."""
    lines = ["# From the guide's recipe to the recommended one", "", *_head(workspace, name)]
    if missing := sum(not result_of(variant, workspace).exists() for variant in _planned(workspace)):
        lines += ["", f"{missing} runs are missing; the tables that need them are left out."]
    curves = out.with_suffix("")
    for part in (_rate_scalings, _both_recipes, _differences, _alternatives, _optimisers, _curriculum):
        lines += part(workspace, curves)
    publish("\n".join(lines) + "\n", out)


def _planned(workspace: Workspace) -> Iterator[RecipeVariant]:
    """All variants that are known before any has run."""
    size, width = workspace.size, workspace.width
    yield from comparisons.both_recipes(size, width)
    yield from comparisons.rate_scalings(size, width).values()
    for _, into, out_of in comparisons.one_by_one(size, width):
        yield from (into, out_of)
    yield from comparisons.alternatives(size, width).values()
    yield from (variant for variants in rate_search(workspace).values() for variant in variants)
    yield from (variant for variants in comparisons.curriculum(size, width).values() for variant in variants)


def _head(workspace: Workspace, name: TrainingSizeName) -> list[str]:
    size, base = workspace.size, measure_base(workspace)
    vocabulary = workspace.vocabulary(load_recipe(comparisons.RECOMMENDED).vocabulary)
    layers = json.loads((workspace.base / "config.json").read_text("utf-8"))["num_hidden_layers"]
    tokens = size.batch * size.accumulation * size.sequence
    return [
        paragraph(
            f"Written by `python -m benchmarks.ablation.recipes --size {name}`; one core. `ekle train` runs "
            f"recipes/{comparisons.GUIDE}.toml and recipes/{comparisons.RECOMMENDED}.toml on the base of "
            f"[adaptation.md](adaptation.md) that knows Turkish: Qwen3 architecture, {layers} layers of "
            f"{workspace.width}, untied embeddings of {vocabulary.first_new_id:,} rows and "
            f"{vocabulary.size:,} new ones; {size.steps:,} steps of {tokens:,} tokens; schedule, warm-up and "
            "replay as in the recipe."
        ),
        "",
        paragraph(
            "[Bits per byte](glossary.md#bits-per-byte), lower is better, on Turkish of other sources and on "
            f"English, {size.test_bytes // 1000} and {size.english_bytes // 1000} KB that no model learned "
            f"from and no choice was made on. The unchanged base has {base['turkish']:.4f} and "
            f"{base['english']:.4f}. Base and new rows are the same for all seeds; a seed decides the order "
            "of the text, the noise and the initial adapters. ± is the standard deviation over "
            "seeds; a row without it is one run."
        ),
    ]


def _rate_scalings(workspace: Workspace, curves: Path) -> list[str]:
    found = {
        rate_scaling: _load([variant], workspace)
        for rate_scaling, variant in comparisons.rate_scalings(workspace.size, workspace.width).items()
    }
    if not all(found.values()):
        return []
    lines = [
        "",
        "## What carries over to a model of another width",
        "",
        _SCALING,
        "",
    ]
    lines += ["| the guide's rate | rank | rate | of rows | Turkish | highest | English | clipped |"]
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
        curves / "rate-scaling.svg",
        [Panel("the guide's rate", [_curve(name, results) for name, results in found.items()], _AXIS)],
    )
    return [*lines, "", f"![three scalings of the guide's rate]({curves.name}/rate-scaling.svg)"]


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
        lines += ["", f"After so few steps both are still above the {base:.4f} of the unchanged base."]
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
    lines = ["", "## The differences, one by one", "", paragraph(_BOTH_WAYS), ""]
    lines += ["| difference | guide | recommended | guide with it | | recommended without it | |"]
    lines += ["|---|---|---|---:|---:|---:|---:|"]
    below: list[str] = []
    for difference, into, out_of in comparisons.one_by_one(workspace.size, workspace.width):
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
            below += ["", paragraph(f"**{difference.name}** ({keys}). {difference.why}")]
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
    lines = ["", "## What else was tried", "", paragraph(_ALTERNATIVES), ""]
    lines += ["| the recommended recipe with | settings | Turkish, validation | | Turkish | | English | |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|---:|"]
    for name, results in {"": whole, **found}.items():
        for result in results:
            settings = comparisons.ALTERNATIVES.get(name, {})
            cells = [
                name or "nothing else",
                ", ".join(f"`{key} = {value}`" for key, value in settings.items()),
            ]
            for value in (_validation, _end, _english):
                cells += [f"{value(result):.4f}", f"{value(result) / value(whole[0]) - 1:+.2%}"]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _optimisers(workspace: Workspace, curves: Path) -> list[str]:
    tried = rate_search(workspace)
    if not all(result_of(variant, workspace).exists() for variants in tried.values() for variant in variants):
        return []
    lines = ["", "## Sophia, AdamW, Muon at equal compute", "", paragraph(_OPTIMISERS), ""]
    lines += ["| optimiser | steps | rates tried: Turkish, validation | best | Turkish | English | seeds |"]
    lines += ["|---|---:|---|---:|---:|---:|---:|"]
    drawn = []
    for optimizer, variants in tried.items():
        found = {
            variant.recipe.training.learning_rate: _load([variant], workspace)[0]["validation"]
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
    lines = ["", "## Easy text first", "", paragraph(_CURRICULUM), ""]
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
    """Whether all seeds agree."""
    if all(gain < 0 for gain in gains):
        return "better than shuffled"
    return "worse than shuffled" if all(gain > 0 for gain in gains) else "the seeds disagree"


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


def _validation(result: Result) -> float:
    return float(result["validation"])


def _load(variants: Sequence[RecipeVariant], workspace: Workspace) -> list[Result]:
    paths = [result_of(variant, workspace) for variant in variants]
    return [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]


def _shown(value: Any) -> str:
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
