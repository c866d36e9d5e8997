"""What a model card says was measured, from the content of the evaluation's report.json.

Nothing here computes: a figure stands in the report or is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ekle.page.wording import LANGUAGES, SPACE, amount, percent, points, signed, span

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
