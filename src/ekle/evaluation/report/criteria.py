"""The success criteria of the guide that ekle grew from: what each means here, and whether it is met.

A criterion is met by its value; where the value has an interval, `certain` says whether all of it is on the
same side. What was not measured has no value and is neither met nor missed; `why` says what is lacking.
"""

import statistics
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ekle.evaluation.names import ALL_HELD_OUT, furthest_model, other_names
from ekle.evaluation.report.verdict import kind_of_change
from ekle.evaluation.tasks.scores import main_difference
from ekle.evaluation.trust.provenance import Log, curve
from ekle.page.formatting import amount, counted, listed, percent, points

_IN_UNITS = frozenset({"final_loss", "final_loss_stretch", "gradients", "training_time"})
"""Keys of the rows whose value is a number in the unit of the definition; all others are shares."""


class Criterion(NamedTuple):
    """One line of the table."""

    key: str
    group: str
    """technical, quality or performance."""
    name: str
    target: str
    """As the guide states it."""
    definition: str
    """What is measured for it here."""
    value: Any = None
    """A number, or an object with `value` and, where known, `low` and `high`."""
    above: float | None = None
    """The value must be greater than this."""
    below: float | None = None
    """The value must be smaller than this."""
    also: bool = True
    """What else must hold."""
    note: str = ""
    why: str = ""


def row_of(one: Criterion) -> dict[str, Any]:
    """The row; see `criteria.criteria` for its keys."""
    row: dict[str, Any] = {key: getattr(one, key) for key in ("key", "group", "name", "target", "definition")}
    row["unit"] = "number" if one.key in _IN_UNITS else "share"
    if one.value is None:
        row["why"] = one.why
    else:
        value = one.value if isinstance(one.value, dict) else {"value": float(one.value)}
        sides = {
            key: one.also and _passes(value[key], one) for key in ("value", "low", "high") if key in value
        }
        row |= {"value": value, "met": sides["value"]}
        if "low" in sides:
            row["certain"] = sides["low"] == sides["high"]
    return row | ({"note": one.note} if one.note else {})


def _passes(value: float, one: Criterion) -> bool:
    return (one.above is None or value > one.above) and (one.below is None or value < one.below)


Figures = Mapping[str, Any]

_SAVED = (0.5, 0.7)
_STEPS, _HOURS = 2_000, 12
_SETTLED = 0.01  # relative change of bits per byte
_EVALUATIONS = 5  # fewer on the way do not show whether a curve is flat
_SPREAD = 100.0


def criteria(figures: Figures) -> list[dict[str, Any]]:
    """The table, from the content of report.json.

    Returns:
        Rows with `key`, `group`, `name`, `target`, `definition`, `unit` (share or number); where it was
        measured `value`, `met` and, where there is an interval, `certain`; otherwise `why`; perhaps a `note`.
    """
    return [
        row_of(one) for part in (_tokens, _training, language, knowledge, _inference) for one in part(figures)
    ]


def _tokens(figures: Figures) -> Iterator[Criterion]:
    whole = figures.get("tokens", {}).get(ALL_HELD_OUT)
    why = "" if whole else "no held-out text in the language to learn was named"
    saved = whole["saved"] if whole else None
    yield Criterion(
        "tokenization",
        "technical",
        "Tokenization improvement",
        "> 40 %",
        "bytes a token, all held-out text together: how much more than with the base's tokenizer",
        {key: 1 / (1 - part) - 1 for key, part in saved.items()} if saved else None,
        above=0.4,
        why=why,
    )
    yield Criterion(
        "fewer_tokens",
        "technical",
        "Tokens saved",
        "50 to 70 %",
        "tokens less than with the base's tokenizer, all held-out text together",
        saved,
        above=_SAVED[0],
        why=why,
        note=_reachable(whole["floor"]["saved"]) if whole else "",
    )


def _reachable(floor: float) -> str:
    """What of 50 to 70 % can be had at all, `floor` being what the floor saves."""
    if floor > _SAVED[1]:
        return f"one token for each piece of the base's pre-tokenizer saves {percent(floor)} of this text"
    part = "" if floor <= _SAVED[0] else f"{100 * _SAVED[1]:g} % "
    return (
        f"{part}cannot be reached with the base's pre-tokenizer: one token for each of its pieces saves "
        f"{percent(floor)} of this text"
    )


def _training(figures: Figures) -> Iterator[Criterion]:
    log: Log = figures.get("training", {}).get("extended", [])
    why = "" if log else "no training log; the model was not trained here, or its run is not at hand"
    _, losses = curve(log, "loss_per_token")
    for key, limit in (("final_loss", 1.5), ("final_loss_stretch", 1.2)):
        yield Criterion(
            key,
            "technical",
            "Final loss" if key == "final_loss" else "Final loss (stretch)",
            f"< {limit:g}",
            "nats a token of the text trained on, last line of the log",
            losses[-1] if losses else None,
            below=limit,
            why=why or "the training log holds no loss a token",
            note="a loss a token grows with the length of tokens and does not compare across vocabularies; "
            "bits per byte do",
        )
    steps, bits = curve(log, "held_out_bits_per_byte")
    known = len(steps) >= _EVALUATIONS
    early = [at for at, step in enumerate(steps) if known and step <= 0.8 * steps[-1]]
    yield Criterion(
        "convergence",
        "technical",
        "Convergence",
        f"within {_STEPS:,} steps",
        f"at most {_STEPS:,} steps, the last fifth of which lowers held-out bits per byte by less than "
        f"{percent(_SETTLED)}",
        1 - bits[-1] / bits[early[-1]] if early else None,
        below=_SETTLED,
        also=bool(steps) and steps[-1] <= _STEPS,
        why=why or "held-out text was measured too seldom in training",
        note=counted(int(steps[-1]), "step") if steps else "",
    )
    _, norms = curve(log, "grad_norm")
    skipped = sum("skipped" in entry for entry in log)
    middle = statistics.median(norms) if norms else 0.0
    yield Criterion(
        "gradients",
        "technical",
        "No exploding or vanishing gradient",
        "none",
        f"the largest factor between a logged gradient norm and the median of all; below {_SPREAD:g}, and no "
        "step skipped",
        max(max(norms) / middle, middle / max(min(norms), 1e-30)) if middle else None,
        below=_SPREAD,
        also=not skipped,
        why=why or "the training log holds no norm of the gradient",
        note=f"{counted(skipped, 'step')} skipped" if skipped else "",
    )
    _, seconds = curve(log, "seconds")
    yield Criterion(
        "training_time",
        "performance",
        "Training time",
        f"within {_HOURS} hours",
        "hours of training, over all attempts",
        seconds[-1] / 3600 if seconds else None,
        below=_HOURS,
        why=why or "the training log holds no time",
    )
    yield Criterion(
        "unattended",
        "performance",
        "Stable without manual intervention",
        "yes",
        "not measured",
        why="a log cannot know who started a run again",
    )


def _inference(figures: Figures) -> Iterator[Criterion]:
    found = figures.get("inference", {})
    yield Criterion(
        "inference",
        "performance",
        "Faster inference",
        "> 20 %",
        "characters a second when held-out text is generated token by token, against the base on the same",
        found.get("generation", {}).get("gain"),
        above=0.2,
        why="two models, and held-out text of one passage, are needed (evaluation.speed_passages)",
    )
    cache, weights = found.get("kv_cache"), found.get("weights")
    even = found.get("break_even_characters")
    yield Criterion(
        "memory",
        "performance",
        "Memory",
        "> 15 % better",
        "bytes of keys and values in the cache for the same held-out text, less than with the base",
        cache["saved"] if cache else None,
        above=0.15,
        why="two models and held-out text are needed",
        note=f"the weights grow by {percent(weights['change'])}"
        + (f"; less memory in all from {amount(even)} characters in the cache" if even else "")
        if weights
        else "",
    )


_LOST = 0.01  # relative change of bits per byte
_REPEATED = 0.05


def language(figures: Figures) -> Iterator[Criterion]:
    """Of the Turkish that the last model generates."""
    generated = figures.get("generated", {})
    last = furthest_model(generated)
    own = generated[last] if last else {}
    human = generated.get("held_out", {})
    why = "" if last else "no text was generated (evaluation.prompts, evaluation.samples)"
    for key, name, measured, limit, definition in (
        (
            "accepted",
            "Morphological accuracy",
            "morphology",
            0.9,
            "words that the model generates and the analyser accepts",
        ),
        (
            "harmony",
            "Vowel harmony",
            "harmony",
            0.95,
            "of these words, and those that vowels in harmony would make one, the share that obeys harmony",
        ),
    ):
        people = human.get("words", {}).get(key)
        yield Criterion(
            measured,
            "quality",
            name,
            f"> {limit:.0%}".replace("%", " %"),
            definition,
            own.get("words", {}).get(key),
            above=limit,
            why=why or "the model generated no such word",
            note=f"text that people wrote: {percent(people['value'])}" if people else "",
        )
    both = "repeated" in own and "repeated" in human
    spare = own["repeated"]["value"] - human["repeated"]["value"] if both else None
    yield Criterion(
        "coherence",
        "quality",
        "Coherent generation",
        "coherent",
        "samples that are told to be Turkish, more than 95 %; and of their runs of four words at most "
        f"{100 * _REPEATED:g} points more repeated than in text that people wrote",
        own.get("turkish") if spare is not None else None,
        above=0.95,
        also=spare is not None and spare <= _REPEATED,
        why=why or "the samples are too short to tell",
        note=f"{percent(own['repeated']['value'])} of the runs are repeated, in text that people wrote "
        f"{percent(human['repeated']['value'])}; signs of coherence, not coherence itself"
        if spare is not None
        else "",
    )


def knowledge(figures: Figures) -> Iterator[Criterion]:
    """Of what the base knew: other text, and tasks in English where some were asked."""
    likelihood = figures.get("likelihood", {})
    last = furthest_model(likelihood)
    own = likelihood[last] if last else {}
    changes = {
        name: own[key]["change"] for name, key in other_names(figures).items() if "change" in own.get(key, {})
    }
    worst = max(changes, key=lambda name: changes[name]["value"], default=None)
    asked = {
        name: change
        for name, part in figures.get("tasks", {}).items()
        if part["language"] == "en" and (change := main_difference(part, last)) is not None
    }
    lost = [
        f"{name} {points(change['value'])}"
        for name, change in asked.items()
        if kind_of_change(change) == "bad"
    ]
    if asked:
        told = (
            f"clearly worse in English tasks: {listed(lost)}" if lost else "in no English task clearly worse"
        )
    else:
        told = "tasks in English would say more than likelihood"
    yield Criterion(
        "knowledge",
        "quality",
        "Knowledge of the base preserved",
        "preserved",
        f"the text in another language, or code, that loses most: less than {percent(_LOST)} more bits per "
        "byte than the base needs; and in no English task that was asked a clear loss, the interval of the "
        "paired difference below 0",
        changes[worst] if worst else None,
        below=_LOST,
        also=not lost,
        why="no text in other languages was read by a model and its base" + (f"; {told}" if asked else ""),
        note=f"{worst}; {told}" if worst else "",
    )
