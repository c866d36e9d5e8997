"""The success criteria of the guide that ekle grew from: what each means here, and whether it is met.

A criterion is met by its value. Where the value has an interval, `certain` says whether all of it is on the
same side of the limit. What was not measured has no value and is neither met nor missed; `why` says what is
missing.
"""

import statistics
from collections.abc import Iterator
from typing import Literal

from ekle.artifacts.evaluation_report import (
    HUMAN_TEXT,
    Criterion,
    EvaluationReport,
    Figure,
    furthest_model,
)
from ekle.evaluation.report.verdict import changes_on_other_text, kind_of_change
from ekle.evaluation.trust.provenance import curve
from ekle.page.formatting import amount, counted, listed, percent, points

Group = Literal["technical", "quality", "performance"]

_IN_UNITS = frozenset({"final_loss", "final_loss_stretch", "gradients", "training_time"})
"""Keys of the rows whose value is a number in the unit of the definition; all others are shares."""


_SAVED = (0.5, 0.7)
_STEPS, _HOURS = 2_000, 12
_SETTLED = 0.01  # relative change of bits per byte
_EVALUATIONS = 5  # fewer do not show whether a curve is flat
_SPREAD = 100.0


def criteria(report: EvaluationReport) -> list[Criterion]:
    """The table; reads everything in the report except the criteria and the verdict."""
    return [row for part in (_tokens, _training, language, knowledge, _inference) for row in part(report)]


def _judged(
    key: str,
    group: Group,
    name: str,
    target: str,
    definition: str,
    value: Figure | float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    also: bool = True,
    note: str = "",
    why: str = "",
) -> Criterion:
    """A row of the table.

    Args:
        key, group, name, target, definition: as in `Criterion`.
        value: what was measured; None where nothing was.
        above: the value must be greater than this.
        below: the value must be smaller than this.
        also: what else must hold.
        note: what else a reader should know.
        why: what is missing where nothing was measured.
    """

    def passes(one: float) -> bool:
        return also and (above is None or one > above) and (below is None or one < below)

    row = Criterion(
        key=key,
        group=group,
        name=name,
        target=target,
        definition=definition,
        unit="number" if key in _IN_UNITS else "share",
        note=note or None,
    )
    if value is None:
        return row.model_copy(update={"why": why})
    figure = value if isinstance(value, Figure) else Figure(value=value)
    certain = None
    if figure.low is not None and figure.high is not None:
        certain = passes(figure.low) == passes(figure.high)
    return row.model_copy(update={"value": figure, "met": passes(figure.value), "certain": certain})


def _tokens(report: EvaluationReport) -> Iterator[Criterion]:
    whole = report.tokens.all_held_out if report.tokens else None
    why = "" if whole else "no held-out text in the language to learn was named"
    yield _judged(
        "tokenization",
        "technical",
        "Tokenization improvement",
        "> 40 %",
        "bytes per token on all held-out text: how much more than with the base's tokenizer",
        _longer(whole.saved) if whole else None,
        above=0.4,
        why=why,
    )
    yield _judged(
        "fewer_tokens",
        "technical",
        "Tokens saved",
        "50 to 70 %",
        "tokens saved against the base's tokenizer, on all held-out text",
        whole.saved if whole else None,
        above=_SAVED[0],
        why=why,
        note=_reachable(whole.floor.saved) if whole else "",
    )


def _longer(saved: Figure) -> Figure:
    """How much more text a token holds where `saved` is the share of the tokens that are saved."""
    value, low, high = (
        None if part is None else 1 / (1 - part) - 1 for part in (saved.value, saved.low, saved.high)
    )
    return Figure.model_validate({"value": value, "low": low, "high": high})


def _reachable(floor: float) -> str:
    """How much of 50 to 70 % is possible at all; `floor` is what the floor saves."""
    if floor > _SAVED[1]:
        return f"one token for each pre-token of the base saves {percent(floor)} of this text"
    part = "" if floor <= _SAVED[0] else f"{100 * _SAVED[1]:g} % "
    return (
        f"{part}cannot be reached with the base's pre-tokenizer: one token for each pre-token saves "
        f"{percent(floor)} of this text"
    )


def _training(report: EvaluationReport) -> Iterator[Criterion]:
    log = (report.training.extended if report.training else None) or []
    why = "" if log else "no training log; the model was not trained here, or its run is not at hand"
    _, losses = curve(log, "loss_per_token")
    for key, limit in (("final_loss", 1.5), ("final_loss_stretch", 1.2)):
        yield _judged(
            key,
            "technical",
            "Final loss" if key == "final_loss" else "Final loss (stretch)",
            f"< {limit:g}",
            "nats per token of the training text, last line of the log",
            losses[-1] if losses else None,
            below=limit,
            why=why or "the training log holds no loss per token",
            note="a loss per token grows with the length of tokens and does not compare across vocabularies; "
            "bits per byte do",
        )
    steps, bits = curve(log, "held_out_bits_per_byte")
    known = len(steps) >= _EVALUATIONS
    early = [at for at, step in enumerate(steps) if known and step <= 0.8 * steps[-1]]
    yield _judged(
        "convergence",
        "technical",
        "Convergence",
        f"within {_STEPS:,} steps",
        f"at most {_STEPS:,} steps, the last fifth of which lowers held-out bits per byte by less than "
        f"{percent(_SETTLED)}",
        1 - bits[-1] / bits[early[-1]] if early else None,
        below=_SETTLED,
        also=bool(steps) and steps[-1] <= _STEPS,
        why=why or "held-out text was measured too rarely during training",
        note=counted(int(steps[-1]), "step") if steps else "",
    )
    _, norms = curve(log, "grad_norm")
    skipped = sum("skipped" in entry for entry in log)
    middle = statistics.median(norms) if norms else 0.0
    yield _judged(
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
    yield _judged(
        "training_time",
        "performance",
        "Training time",
        f"within {_HOURS} hours",
        "hours of training, over all attempts",
        seconds[-1] / 3600 if seconds else None,
        below=_HOURS,
        why=why or "the training log holds no time",
    )
    yield _judged(
        "unattended",
        "performance",
        "Stable without manual intervention",
        "yes",
        "not measured",
        why="a log cannot know who started a run again",
    )


def _inference(report: EvaluationReport) -> Iterator[Criterion]:
    found = report.inference
    yield _judged(
        "inference",
        "performance",
        "Faster inference",
        "> 20 %",
        "characters per second when held-out text is generated token by token, against the base",
        found.generation.gain if found and found.generation else None,
        above=0.2,
        why="two models and held-out text of at least one passage are needed (evaluation.speed_passages)",
    )
    even = found.break_even_characters if found else None
    yield _judged(
        "memory",
        "performance",
        "Memory",
        "> 15 % better",
        "bytes of keys and values in the cache saved against the base, for the same held-out text",
        found.kv_cache.saved if found else None,
        above=0.15,
        why="two models and held-out text are needed",
        note=f"the weights grow by {percent(found.weights.change)}"
        + (f"; less memory in all from {amount(even)} characters in the cache" if even else "")
        if found
        else "",
    )


_LOST = 0.01  # relative change of bits per byte
_REPEATED = 0.05


def language(report: EvaluationReport) -> Iterator[Criterion]:
    """Criteria of the Turkish that the last model generates."""
    generated = report.generated or {}
    last = furthest_model(generated)
    own, human = generated[last] if last else None, generated.get(HUMAN_TEXT)
    why = "" if last else "no text was generated (evaluation.prompts, evaluation.samples)"
    for key, name, figure, people, limit, definition in (
        (
            "morphology",
            "Morphological accuracy",
            own.words.accepted if own else None,
            human.words.accepted if human else None,
            0.9,
            "generated words that the analyser accepts",
        ),
        (
            "harmony",
            "Vowel harmony",
            own.words.harmony if own else None,
            human.words.harmony if human else None,
            0.95,
            "of these words, and words that it would accept with other vowels, the share that obeys harmony",
        ),
    ):
        yield _judged(
            key,
            "quality",
            name,
            f"> {limit:.0%}".replace("%", " %"),
            definition,
            figure,
            above=limit,
            why=why or "the model generated no such word",
            note=f"text that people wrote: {percent(people.value)}" if people else "",
        )
    repeated, by_people = own.repeated if own else None, human.repeated if human else None
    spare = repeated.value - by_people.value if repeated and by_people else None
    yield _judged(
        "coherence",
        "quality",
        "Coherent generation",
        "coherent",
        "samples identified as Turkish, more than 95 %; and repeated runs of four words at most "
        f"{100 * _REPEATED:g} points more often than in text that people wrote",
        own.turkish if own and spare is not None else None,
        above=0.95,
        also=spare is not None and spare <= _REPEATED,
        why=why or "the samples are too short to judge",
        note=f"{percent(repeated.value)} of the runs are repeated, in text that people wrote "
        f"{percent(by_people.value)}; signs of coherence, not coherence itself"
        if repeated and by_people
        else "",
    )


def knowledge(report: EvaluationReport) -> Iterator[Criterion]:
    """The criterion of the base's knowledge: other text, and English tasks where there are some."""
    likelihood = report.likelihood or {}
    last = furthest_model(likelihood)
    changes = changes_on_other_text(report, last)
    worst = max(changes, key=lambda name: changes[name].value, default=None)
    asked = {
        name: change
        for name, part in (report.tasks or {}).items()
        if part.language == "en" and (change := part.main_difference(last)) is not None
    }
    lost = [
        f"{name} {points(change.value)}" for name, change in asked.items() if kind_of_change(change) == "bad"
    ]
    if asked:
        told = (
            f"clearly worse in English tasks: {listed(lost)}" if lost else "in no English task clearly worse"
        )
    else:
        told = "tasks in English would say more than likelihood"
    yield _judged(
        "knowledge",
        "quality",
        "Knowledge of the base preserved",
        "preserved",
        f"the other text that loses most: less than {percent(_LOST)} more bits per "
        "byte than the base needs; and no English task with a clear loss (the interval of the paired "
        "difference is below 0)",
        changes[worst] if worst else None,
        below=_LOST,
        also=not lost,
        why="no model and its base have read text in other languages" + (f"; {told}" if asked else ""),
        note=f"{worst}; {told}" if worst else "",
    )
