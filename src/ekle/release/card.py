"""The model card, written from what was measured.

Nothing is computed here: a figure is in the evaluation's report.json or is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ekle.artifacts.evaluation_report import (
    ALL_HELD_OUT,
    HUMAN_TEXT,
    OURS,
    BoundaryShares,
    EvaluationReport,
    Figure,
    Score,
    TaskScores,
    text_title,
)
from ekle.artifacts.evaluation_report.criteria_table import criteria_table
from ekle.files import read_json
from ekle.page.formatting import LANGUAGES, SPACE, amount, interval, percent, points, signed
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
    """What the model folder `model` says about itself; `name` is from the recipe."""
    texts = sorted(model.glob("LICENSE*"))
    head = texts[0].read_text(encoding="utf-8", errors="replace")[:400] if texts else ""
    known = "apache-2.0" if "Apache License" in head and "Version 2.0" in head else None
    return Origin(name, read_json(model / "config.json")["model_type"], known)


def model_card(
    recipe: Recipe, extension: Mapping[str, Any], report: EvaluationReport, origin: Origin, gguf: str = ""
) -> str:
    """README.md of a released model; what was not measured is left out.

    Args:
        recipe: how it was made.
        extension: content of extension.json.
        report: what was measured.
        origin: the base model.
        gguf: how a GGUF file of it is made, in sentences.
    """
    first, size = extension["first_new_id"], extension["size"]
    parts = [
        _front_matter(origin),
        f"# {recipe.name}",
        f"{origin.name} with {size:,} Turkish tokens (ids {first:,} to {first + size - 1:,}), made with "
        "ekle. Ids and embedding rows of the base are unchanged.",
    ]
    if origin.name == "tiny":
        parts.append("The model is a toy that shows the procedure. Only its tokenizer is useful.")
    parts += [table for table in (_tokens(report), _bits_per_byte(report)) if table]
    parts += measured(report)
    training = recipe.training
    parts.append(
        f"Training: at most {training.steps:,} steps, DoRA rank {training.dora.rank}, NEFTune alpha "
        f"{training.neftune.alpha:g}, {training.optimizer}, learning rate {training.learning_rate:g}; "
        f"new rows started by the rule `{recipe.extension.init}`."
    )
    return "\n\n".join([*parts, _USE, *([f"GGUF: {gguf}.\n"] if gguf else [])])


def _front_matter(origin: Origin) -> str:
    lines = ["---", "language: [tr]"]
    if origin.licence:
        lines.append(f"license: {origin.licence}")
    tags = f"tags: [{origin.architecture}, turkish, vocabulary-extension, dora]"
    return "\n".join([*lines, "library_name: transformers", tags, "---"])


def _tokens(report: EvaluationReport) -> str:
    if not (report.tokens and report.tokens.by_text):
        return ""
    table = ["| held-out text | tokens before | tokens now | saved |", "|---|---:|---:|---:|"]
    table += [
        f"| {name} | {row.base.tokens:,} | {row.extended.tokens:,} | {_figure(row.saved)} |"
        for name, row in sorted(report.tokens.by_text.items())
    ]
    return "\n".join(table)


def _bits_per_byte(report: EvaluationReport) -> str:
    """A column for each model that was measured, a row for each text that all of them read."""
    measured = report.likelihood or {}
    models = [model for model in OURS if measured.get(model)]
    if not models:
        return ""
    last = models[-1] if len(models) > 1 else None
    texts = [name for name in measured[models[0]] if all(name in measured[model] for model in models)]
    titles = ["bits per byte (lower is better)", *models, *([f"{last} against base"] if last else [])]
    table = [f"| {' | '.join(titles)} |", "|---|" + "---:|" * (len(titles) - 1)]
    for name in sorted(texts, key=lambda text: (text != ALL_HELD_OUT, text)):
        cells = [_bits(measured[model][name].bits_per_byte) for model in models]
        if last:
            change = measured[last][name].change
            cells.append(_with(signed(change.value), interval(change)) if change else "")
        table.append(f"| {text_title(name)} | {' | '.join(cells)} |")
    return "\n".join(table)


def _bits(figure: Figure) -> str:
    limits = "" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"
    return _with(f"{figure.value:.3f}", limits)


def _with(value: str, limits: str) -> str:
    return f"{value} ({limits})" if limits else value


def measured(report: EvaluationReport) -> list[str]:
    """The paragraphs and tables in Markdown that the report supports; none where it is empty."""
    lines = [
        line
        for part in (_morphology, _drift, _forgetting, _generated, _translation, _inference, _contamination)
        for line in part(report)
    ]
    parts = ["\n".join(f"- {line}" for line in lines)] if lines else []
    return [*parts, *_tasks(report), *_criteria(report)]


def _morphology(report: EvaluationReport) -> Iterator[str]:
    """By gold where there is some, by the lexicon otherwise."""
    if report.morphology is None:
        return
    lexicon = report.morphology.lexicon
    by = {f"`{name}`": part.by_tokenizer for name, part in (report.morphology.gold or {}).items()}
    by = by or {"what a lexicon reads": (lexicon.by_tokenizer if lexicon else None) or {}}
    for name, tokenizers in by.items():
        own, before = (tokenizers.get(key, BoundaryShares()) for key in ("extended", "base"))
        for now, then, text in (
            (own.root_intact, before.root_intact, "inflected words inside whose root no token ends"),
            (
                own.no_wrong_boundary,
                before.no_wrong_boundary,
                "words in which every token boundary is a morpheme boundary",
            ),
        ):
            if now and then:
                yield f"{text}, by {name}: {_figure(now)}, base {percent(then.value)}"


def _drift(report: EvaluationReport) -> Iterator[str]:
    for name, part in (report.drift or {}).items():
        yield f"lines of {name} that are tokenized differently: {_figure(part.share)} of {part.lines:,}"


def _forgetting(report: EvaluationReport) -> Iterator[str]:
    for name, part in (report.divergence or {}).get("trained", {}).items():
        yield (
            f"divergence from the base on {name}, where no new token occurs: {part.kl.value:.4f} nats "
            f"per token; {percent(part.new_mass.value)} of the probability goes to new tokens"
        )


def _generated(report: EvaluationReport) -> Iterator[str]:
    generated = report.generated or {}
    if "trained" not in generated or HUMAN_TEXT not in generated:
        return
    own, people = generated["trained"].words, generated[HUMAN_TEXT].words
    for now, human, text in (
        (own.accepted, people.accepted, "that an analyser accepts"),
        (own.harmony, people.harmony, "that obey vowel harmony"),
    ):
        if now and human:
            yield f"generated words {text}: {_figure(now)}; words of held-out text {percent(human.value)}"


def _translation(report: EvaluationReport) -> Iterator[str]:
    translation = report.translation or {}
    for direction, own in translation.get("trained", {}).items():
        before = translation.get("base", {}).get(direction)
        if before:
            bleu = _score("BLEU", own.bleu, before.bleu, own.bleu_change)
            chrf = _score("chrF", own.chrf, before.chrf, own.chrf_change)
            yield f"translation {direction}, {own.pairs:,} sentences: {bleu}, {chrf}"


def _score(name: str, own: Figure, before: Figure, change: Figure | None) -> str:
    """A score from 0 to 100, the base's, and the difference."""
    difference = f"; {_points(change, 0.01)}" if change else ""
    return f"{name} {own.value:.1f} (base {before.value:.1f}{difference})"


def _inference(report: EvaluationReport) -> Iterator[str]:
    found = report.inference
    if found is None:
        return
    if found.generation:
        gain = _with(signed(found.generation.gain.value), interval(found.generation.gain))
        yield f"characters per second when writing the same text, against the base: {gain}"
    cache, weights = signed(-found.kv_cache.saved.value), signed(found.weights.change)
    yield f"memory for keys and values of the same text: {cache}; weights: {weights}"
    if found.break_even_characters is not None:
        even = amount(found.break_even_characters)
        yield f"less memory in all than the base from {even} characters in the cache"


def _contamination(report: EvaluationReport) -> Iterator[str]:
    found = {
        name: part.overlapping.value
        for name, part in (report.contamination or {}).items()
        if part.overlapping
    }
    if found:
        worst = max(found, key=lambda name: found[name])
        yield (
            "measured documents that share eight words in a row with the text that was learned from: at most "
            f"{percent(found[worst])} ({worst})"
        )


_SCORES: dict[Score, str] = {
    "accuracy": "accuracy",
    "accuracy_bytes": "accuracy per byte",
    "exact_match": "exact match",
    "f1": "F1",
}


def _tasks(report: EvaluationReport) -> Iterator[str]:
    """A row per task and score: guessing, the base, the trained model, and their difference."""
    table = [
        "| task | questions | guessing | base | trained | difference |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, part in (report.tasks or {}).items():
        before, own = (part.models.get(model, TaskScores()) for model in ("base", "trained"))
        for score, title in _SCORES.items():
            then, now, change = before.score(score), own.score(score), own.difference(score)
            if then is None or now is None:
                continue
            guessable = part.chance is not None and score.startswith("accuracy")
            cells = [
                f"{name} ({LANGUAGES[part.language]}), {title}",
                f"{part.examples:,}",
                percent(part.chance or 0.0) if guessable else "",
                _figure(then),
                _figure(now),
                _points(change) if change else "",
            ]
            table.append(f"| {' | '.join(cells)} |")
    if len(table) > 2:
        yield "\n".join(table)


def _criteria(report: EvaluationReport) -> Iterator[str]:
    """The guide's criteria that were measured."""
    rows = [row for row in criteria_table(report) if row.met is not None]
    if rows:
        table = ["| criterion of the guide | asked | measured as | value | met |", "|---|---|---|---:|---|"]
        for row in rows:
            cells = (row.name, row.asked, row.definition, row.measured, row.answer("yes", "no", ", unsure"))
            table.append(f"| {' | '.join(cells)} |")
        yield "\n".join(table)


def _figure(figure: Figure) -> str:
    """A share with its interval."""
    return _with(percent(figure.value), interval(figure))


def _points(change: Figure, unit: float = 1.0) -> str:
    """A difference in points with its interval; times `unit` it is a share of 1."""
    value, *limits = (
        points(unit * part) for part in (change.value, change.low, change.high) if part is not None
    )
    return _with(value, " to ".join(limit.removesuffix(f"{SPACE}points") for limit in limits))
