"""The model card, written from what was measured.

Nothing here computes: a figure stands in the evaluation's report.json or is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ekle.files import read_json
from ekle.page.formatting import LANGUAGES, SPACE, amount, percent, points, signed, span
from ekle.recipe import Recipe

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


Figures = Mapping[str, Any]


def measured(figures: Figures) -> list[str]:
    """The paragraphs and tables in Markdown that the report supports; none where it is empty."""
    lines = [
        line
        for part in (_morphology, _drift, _forgetting, _generated, _translation, _inference, _overlap)
        for line in part(figures)
    ]
    parts = ["\n".join(f"- {line}" for line in lines)] if lines else []
    return [*parts, *_tasks(figures), *_criteria(figures)]


def _morphology(figures: Figures) -> Iterator[str]:
    found = figures.get("morphology", {})
    by = {f"`{name}`": part for name, part in found.get("gold", {}).items()}
    for name, part in (by or {"what a lexicon reads": found.get("lexicon", {})}).items():
        own = part.get("by_tokenizer", {}).get("extended", {})
        before = part.get("by_tokenizer", {}).get("base", {})
        for key, text in (
            ("root_uncut", "inflected words whose root is not cut"),
            ("no_wrong_cut", "words without a cut that is no morpheme boundary"),
        ):
            if key in own and key in before:
                yield f"{text}, by {name}: {_figure(own[key])}, base {percent(before[key]['value'])}"


def _drift(figures: Figures) -> Iterator[str]:
    for name, part in figures.get("drift", {}).items():
        yield f"lines of {name} that are cut differently: {_figure(part['share'])} of {part['lines']:,}"


def _forgetting(figures: Figures) -> Iterator[str]:
    for name, part in figures.get("divergence", {}).get("trained", {}).items():
        yield (
            f"divergence from the base on {name}, where no new token occurs: {part['kl']['value']:.4f} nats "
            f"a token; {percent(part['new_mass']['value'])} of the probability goes to new tokens"
        )


def _generated(figures: Figures) -> Iterator[str]:
    found = figures.get("generated", {})
    for key, text in (("accepted", "that an analyser accepts"), ("harmony", "that obey vowel harmony")):
        own, people = (found.get(name, {}).get("words", {}).get(key) for name in ("trained", "held_out"))
        if own and people:
            yield f"words it writes {text}: {_figure(own)}; words of held-out text {percent(people['value'])}"


def _translation(figures: Figures) -> Iterator[str]:
    found = figures.get("translation", {})
    for direction, part in found.get("trained", {}).items():
        before = found.get("base", {}).get(direction)
        if before:
            scores = [
                f"{name} {part[key]['value']:.1f} (base {before[key]['value']:.1f}"
                + (f"; {_points(part[f'{key}_change'], 0.01)}" if f"{key}_change" in part else "")
                + ")"
                for key, name in (("bleu", "BLEU"), ("chrf", "chrF"))
            ]
            yield f"translation {direction}, {part['pairs']:,} sentences: {', '.join(scores)}"


def _inference(figures: Figures) -> Iterator[str]:
    found = figures.get("inference", {})
    if "generation" in found:
        gain = found["generation"]["gain"]
        yield f"characters a second when writing the same text, against the base: {signed(gain['value'])}" + (
            f" ({span(gain)})" if span(gain) else ""
        )
    if "kv_cache" in found:
        cache, weights = found["kv_cache"]["saved"]["value"], found["weights"]["change"]
        yield f"memory for keys and values of the same text: {signed(-cache)}; weights: {signed(weights)}"
    if "break_even_characters" in found:
        even = amount(found["break_even_characters"])
        yield f"less memory in all than the base from {even} characters in the cache"


def _overlap(figures: Figures) -> Iterator[str]:
    found = {
        name: part["overlapping"]["value"]
        for name, part in figures.get("overlap", {}).items()
        if "overlapping" in part
    }
    if found:
        worst = max(found, key=lambda name: found[name])
        yield (
            "documents measured on that share eight words in a row with text that was learned from: at most "
            f"{percent(found[worst])} ({worst})"
        )


_SCORES = {
    "accuracy": "accuracy",
    "accuracy_bytes": "accuracy a byte",
    "exact_match": "exact match",
    "f1": "F1",
}


def _tasks(figures: Figures) -> Iterator[str]:
    """A row a task and score: what guessing gives, the base, the trained model, and their difference."""
    table = [
        "| task | questions | guessing | base | trained | difference |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, part in figures.get("tasks", {}).items():
        before, own = (part["models"].get(model, {}) for model in ("base", "trained"))
        for key, title in _SCORES.items():
            if key not in own or key not in before:
                continue
            guessed = percent(part["chance"]) if "chance" in part and key.startswith("accuracy") else ""
            change = own.get(f"{key}_difference")
            cells = [
                f"{name} ({LANGUAGES[part['language']]}), {title}",
                f"{part['examples']:,}",
                guessed,
                _figure(before[key]),
                _figure(own[key]),
                _points(change) if change else "",
            ]
            table.append(f"| {' | '.join(cells)} |")
    if len(table) > 2:
        yield "\n".join(table)


def _criteria(figures: Figures) -> Iterator[str]:
    rows = [row for row in figures.get("criteria", []) if "met" in row]
    if not rows:
        return
    table = ["| criterion of the guide | asked | measured as | value | met |", "|---|---|---|---:|---|"]
    for row in rows:
        value = row["value"]["value"]
        number = f"{value:.2f}" if row["unit"] == "number" else percent(value)
        unsure = "" if row.get("certain", True) else ", unsure"
        table.append(
            f"| {row['name']} | {row['target']} | {row['definition']} | {number} | "
            f"{'yes' if row['met'] else 'no'}{unsure} |"
        )
    yield "\n".join(table)


def _figure(figure: Mapping[str, float]) -> str:
    limits = span(dict(figure))
    return percent(figure["value"]) + (f" ({limits})" if limits else "")


def _points(change: Mapping[str, float], unit: float = 1.0) -> str:
    """A difference in points with its interval; `unit` is what makes it a share of 1."""
    value, *limits = (points(unit * change[key]) for key in ("value", "low", "high") if key in change)
    bare = [limit.removesuffix(f"{SPACE}points") for limit in limits]
    return value + (f" ({' to '.join(bare)})" if bare else "")
