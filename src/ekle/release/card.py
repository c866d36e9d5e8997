"""The model card, written from what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ekle.files import read_json
from ekle.page.wording import percent, signed, span
from ekle.recipe import Recipe
from ekle.release.measured import measured

_USE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = AutoModelForCausalLM.from_pretrained("PATH")
```
"""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from: the base's name, its architecture, and its licence if that is known."""

    name: str
    architecture: str
    licence: str | None


def origin_of(name: str, model: Path) -> Origin:
    """What the model folder `model` says of itself; `name` is what the recipe calls it."""
    texts = sorted(model.glob("LICENSE*"))
    head = texts[0].read_text(encoding="utf-8", errors="replace")[:400] if texts else ""
    known = "apache-2.0" if "Apache License" in head and "Version 2.0" in head else None
    return Origin(name, read_json(model / "config.json")["model_type"], known)


def model_card(
    recipe: Recipe, extension: Mapping[str, Any], figures: Mapping[str, Any], origin: Origin
) -> str:
    """README.md of a released model; a figure that was not measured is left out.

    Args:
        recipe: how it was made.
        extension: content of extension.json.
        figures: content of the scorecard's report.json.
        origin: the base model.
    """
    first, rows = extension["first_new_id"], extension["rows"]
    parts = [
        _front_matter(origin),
        f"# {recipe.name}",
        f"{origin.name} with {extension['size']:,} Turkish tokens (ids {first:,} to {rows - 1:,}), made with "
        "ekle. Ids and embedding rows of the base are unchanged.",
    ]
    if origin.name == "tiny":
        parts.append("The model is a toy that shows the procedure; only its tokenizer is of use.")
    parts += [table for table in (_tokens(figures), _bits_per_byte(figures)) if table]
    parts += measured(figures)
    training = recipe.training
    parts.append(
        f"Training: at most {training.steps:,} steps, DoRA rank {training.dora.rank}, NEFTune alpha "
        f"{training.neftune.alpha:g}, {training.optimizer}, learning rate {training.learning_rate:g}; "
        f"new rows started by the rule `{recipe.extension.init}`."
    )
    return "\n\n".join([*parts, _USE])


def _front_matter(origin: Origin) -> str:
    lines = ["---", "language: [tr]"]
    if origin.licence:
        lines.append(f"license: {origin.licence}")
    tags = f"tags: [{origin.architecture}, turkish, vocabulary-extension, dora]"
    return "\n".join([*lines, "library_name: transformers", tags, "---"])


def _tokens(figures: Mapping[str, Any]) -> str:
    by_text = figures.get("tokens", {}).get("by_text", {})
    if not by_text:
        return ""
    table = ["| held-out text | tokens before | tokens now | saved |", "|---|---:|---:|---:|"]
    table += [
        f"| {name} | {row['base']['tokens']:,} | {row['extended']['tokens']:,} "
        f"| {_with(percent(row['saved']['value']), span(row['saved']))} |"
        for name, row in sorted(by_text.items())
    ]
    return "\n".join(table)


def _bits_per_byte(figures: Mapping[str, Any]) -> str:
    """A column for each model that was measured, a row for each text that all of them read."""
    measured = figures.get("likelihood", {})
    models = [model for model in ("base", "extended", "trained") if measured.get(model)]
    if not models:
        return ""
    last = models[-1] if len(models) > 1 else None
    texts = [name for name in measured[models[0]] if all(name in measured[model] for model in models)]
    titles = ["bits per byte (lower is better)", *models, *([f"{last} against base"] if last else [])]
    table = [f"| {' | '.join(titles)} |", "|---|" + "---:|" * (len(titles) - 1)]
    for name in sorted(texts, key=lambda text: (text != "together", text)):
        cells = [_bits(measured[model][name]["bits_per_byte"]) for model in models]
        if last:
            change = measured[last][name]["change"]
            cells.append(_with(signed(change["value"]), span(change)))
        table.append(f"| {'held-out text together' if name == 'together' else name} | {' | '.join(cells)} |")
    return "\n".join(table)


def _bits(figure: dict[str, float]) -> str:
    limits = f"{figure['low']:.3f} to {figure['high']:.3f}" if "low" in figure else ""
    return _with(f"{figure['value']:.3f}", limits)


def _with(value: str, limits: str) -> str:
    return f"{value} ({limits})" if limits else value
