"""What the figures mean, in plain sentences; the report opens with them."""

from collections.abc import Iterator, Mapping

from ekle.artifacts.evaluation_report import (
    ALL_HELD_OUT,
    CONTROL,
    OURS,
    BoundaryShares,
    EvaluationReport,
    Figure,
    Kind,
    Sentence,
    furthest_model,
)
from ekle.page.formatting import LANGUAGES, SPACE, amount, interval, listed, percent, points, size


def kind_of_change(change: Figure, *, less_is_better: bool = False) -> Kind:
    """Good or bad news where the interval of a change does not hold 0, plain otherwise."""
    if not change.is_significant:
        return "plain"
    return "good" if (change.value < 0) == less_is_better else "bad"


def changes_on_other_text(report: EvaluationReport, model: str | None) -> dict[str, Figure]:
    """By text in another language, or of code: the relative change of the bits that `model` needs for it."""
    own = (report.likelihood or {}).get(model, {}) if model is not None else {}
    return {
        name: change
        for name, key in report.texts.other_names.items()
        if key in own and (change := own[key].change) is not None
    }


TOY_PARAMETERS = 50_000_000
"""A model with fewer parameters, without its embeddings, is a toy; the smallest Qwen3 has 440 million."""

_COPIED = 0.01
"""With a larger share of documents that are mostly in the learned text, the figures are in doubt."""


def verdict(report: EvaluationReport) -> list[Sentence]:
    """The sentences that the figures support; the headline is first."""
    return [
        *_tokens(report),
        *_morphology(report),
        *_likelihood(report),
        *_control(report),
        *_drift(report),
        *_forgetting(report),
        *abilities(report),
        *_inference(report),
        *_criteria(report),
        *_preservation(report),
        *_contamination(report),
        *_caveats(report),
    ]


def is_toy(report: EvaluationReport) -> bool:
    """Whether the base is too small for its quality to mean anything."""
    base = (report.models or {}).get("base")
    return base is not None and base.parameters - base.row_parameters < TOY_PARAMETERS


def _tokens(report: EvaluationReport) -> list[Sentence]:
    if report.tokens is None:
        text = "No Turkish text was held out, so the report says nothing about Turkish."
        return [Sentence(kind="headline", text=text)]
    whole, genres = report.tokens.all_held_out, report.tokens.by_text
    value = whole.saved.value
    direction = "fewer" if value >= 0 else "more"
    limits = interval(whole.saved)
    spread = (
        f" The saving is between {limits.replace(' to ', ' and ')} (95{SPACE}% interval)." if limits else ""
    )
    where = f"in {len(genres)} genres" if len(genres) > 1 else f"({next(iter(genres))})"
    return [
        Sentence(kind="headline", text=f"Turkish text takes {percent(abs(value))} {direction} tokens."),
        Sentence(
            kind=kind_of_change(whole.saved),
            text=f"A word takes {whole.extended.tokens_per_word:.2f} tokens instead of "
            f"{whole.base.tokens_per_word:.2f}, on {size(whole.bytes)} of held-out text {where}.{spread}",
        ),
        Sentence(
            kind="plain",
            text="With the base's pre-tokenizer, no vocabulary could save more than "
            f"{percent(whole.floor.saved)}.",
        ),
    ]


def _morphology(report: EvaluationReport) -> list[Sentence]:
    """How often roots stay intact: by gold where there is some, by the lexicon otherwise."""
    if report.morphology is None:
        return []
    lexicon = report.morphology.lexicon
    by_gold = [(f"of {name}", part.by_tokenizer) for name, part in (report.morphology.gold or {}).items()]
    by_lexicon = [("that a lexicon knows", (lexicon.by_tokenizer if lexicon else None) or {})]
    profile = report.vocabulary.profile if report.vocabulary else None
    for where, by_tokenizer in by_gold or by_lexicon:
        base, extended = (by_tokenizer.get(name, BoundaryShares()) for name in ("base", "extended"))
        if base.root_intact is None or extended.root_intact is None:
            continue
        now, before = extended.root_intact.value, base.root_intact.value
        change = extended.root_intact_difference or Figure(value=now - before)
        text = f"No token ends inside the root in {percent(now)} of the inflected words {where}"
        doubt = "" if change.is_significant or now == before else ", and the difference is not clear"
        own_lexicon = profile == "morphological" and not by_gold
        caveat = " The vocabulary was learned with the same lexicon." if own_lexicon else ""
        told = f"{text}; before it was {percent(before)}{doubt}.{caveat}"
        return [Sentence(kind=kind_of_change(change), text=told)]
    return []


def _likelihood(report: EvaluationReport) -> list[Sentence]:
    """The last model compared with the base on Turkish."""
    likelihood = report.likelihood or {}
    base, last = _first_and_last(report)
    if last is None or ALL_HELD_OUT not in likelihood[last]:
        return []
    before = likelihood[base][ALL_HELD_OUT].bits_per_byte.value
    now = likelihood[last][ALL_HELD_OUT]
    middle = likelihood.get("extended", {}).get(ALL_HELD_OUT) if last != "extended" else None
    change = now.change or Figure(value=now.bits_per_byte.value / before - 1)
    numbers = f"{now.bits_per_byte.value:.3f} instead of {before:.3f} bits per byte"
    start = (
        f" Before training, with initial new rows, it needed {middle.bits_per_byte.value:.3f}."
        if middle
        else ""
    )
    fewer = f"{percent(abs(change.value))} {'fewer' if change.value < 0 else 'more'} bits than the base"
    if change.low is None:
        text = f"For Turkish the {last} model needs {fewer}, but on too little text to be sure: {numbers}."
        return [Sentence(kind="plain", text=f"{text}{start}")]
    if not change.is_significant:
        text = f"On Turkish the {last} model does not clearly differ from the base: {numbers}.{start}"
        return [Sentence(kind="plain", text=text)]
    text = f"For Turkish the {last} model needs {fewer}: {numbers}.{start}"
    return [Sentence(kind=kind_of_change(change, less_is_better=True), text=text)]


def _drift(report: EvaluationReport) -> list[Sentence]:
    drift = report.drift or {}
    if not drift:
        return []
    touched = sorted(
        (name for name in drift if drift[name].changed), key=lambda name: -drift[name].share.value
    )
    if not touched:
        lines = sum(part.lines for part in drift.values())
        text = f"None of {lines:,} lines of {listed(list(drift))} is tokenized differently."
        return [Sentence(kind="good", text=text)]
    shares = [f"{percent(drift[name].share.value)} of {name}" for name in touched[:4]]
    others = len(drift) - len(shares)
    least = "less" if len(touched) > len(shares) else "none"
    more = f", {least} of the {'other text' if others == 1 else f'{others} others'}" if others else ""
    text = f"Lines that are tokenized differently than before: {listed(shares)}{more}."
    return [Sentence(kind="plain", text=text)]


def _forgetting(report: EvaluationReport) -> list[Sentence]:
    """Other text that the last model reads clearly worse than the base, or that it does not."""
    _, last = _first_and_last(report)
    changes = changes_on_other_text(report, last)
    worse = [
        f"{name} {percent(change.value)}"
        for name, change in changes.items()
        if kind_of_change(change, less_is_better=True) == "bad"
    ]
    if worse:
        text = f"For other text the {last} model needs more bits than the base: {listed(worse)}."
        return [Sentence(kind="bad", text=text)]
    if changes and all(change.low is not None for change in changes.values()):
        text = f"For other text the {last} model does not clearly need more bits than the base"
        return [Sentence(kind="good", text=f"{text}: {listed(list(changes))}.")]
    return []


def _inference(report: EvaluationReport) -> list[Sentence]:
    """The time and the memory that writing the same text needs."""
    found = report.inference
    if found is None or found.generation is None:
        return []
    gain, cache = found.generation.gain, found.kv_cache.saved.value
    told = "at about the same speed,"
    if gain.is_significant:
        told = f"{percent(abs(gain.value))} {'faster' if gain.value > 0 else 'slower'}"
    memory = f"{percent(abs(cache))} {'less' if cache >= 0 else 'more'} memory for keys and values"
    text = f"The {found.models[-1]} model writes the same text {told} with {memory}."
    return [Sentence(kind=kind_of_change(gain), text=text)]


def _criteria(report: EvaluationReport) -> list[Sentence]:
    rows = [row for row in report.criteria if row.met is not None]
    if not rows:
        return []
    missed = [f"{row.name}{'' if row.is_certain else ' (not certain)'}" for row in rows if not row.met]
    met = len(rows) - len(missed)
    unsure = sum(bool(row.met) and not row.is_certain for row in rows)
    text = f"Of the guide's criteria {len(rows)} were measured, and {met} {'is' if met == 1 else 'are'} met"
    text += f", {unsure} of them not certainly, because the interval includes the limit" if unsure else ""
    return [Sentence(kind="plain", text=f"{text}{'; not met: ' + listed(missed) if missed else ''}.")]


def _contamination(report: EvaluationReport) -> list[Sentence]:
    """Whether the measured text is also in the learned text."""
    shares = {
        name: (part.overlapping.value, part.mostly.value)
        for name, part in (report.contamination or {}).items()
        if part.overlapping and part.mostly
    }
    if not shares:
        return []
    seen = {name: share for name, share in shares.items() if share[0] > 0}
    if not seen:
        text = "No measured document shares eight words in a row with the text that was learned from."
        return [Sentence(kind="good", text=text)]
    copied = any(mostly > _COPIED for _, mostly in seen.values())
    told = listed([f"{percent(overlapping)} of {name}" for name, (overlapping, _) in seen.items()])
    text = f"Measured documents that share eight words in a row with the text that was learned from: {told}."
    return [Sentence(kind="bad" if copied else "plain", text=text)]


def _preservation(report: EvaluationReport) -> list[Sentence]:
    """Whether the extended model is the base, byte for byte, except for its new rows."""
    found = report.preservation
    if found is None:
        return []
    if found.changed:
        names = listed(found.changed[:4])
        more = f" and {len(found.changed) - 4} more" if len(found.changed) > 4 else ""
        text = f"The extended model has changed since it was written. Its weights differ in {names}{more}."
        return [Sentence(kind="bad", text=text)]
    if found.base_changed:
        text = "The base of this comparison is not the one that the extended model was made from."
        return [Sentence(kind="bad", text=text)]
    text = (
        f"Before training, all {found.tensors:,} tensors of the extended model equal the base's byte for "
        f"byte, including its {found.rows:,} embedding rows. Only the rows of new tokens are added."
    )
    return [Sentence(kind="good", text=text)]


def _caveats(report: EvaluationReport) -> list[Sentence]:
    sentences: list[Sentence] = []
    base = (report.models or {}).get("base")
    if base is not None and is_toy(report):
        own = amount(base.parameters - base.row_parameters)
        text = (
            f"This is a toy model: {own} parameters besides its embeddings. It shows that every step "
            "works; its quality means nothing. The figures about tokens do not depend on it."
        )
        sentences.append(Sentence(kind="note", text=text))
    likelihood = report.likelihood or {}
    if "trained" in likelihood:
        text = (
            "The base has not had the training of the trained model, so their difference is the effect of "
            "vocabulary and training together."
            + (" The control, which has had it, tells them apart." if CONTROL in likelihood else "")
        )
        sentences.append(Sentence(kind="note", text=text))
    return sentences


def _control(report: EvaluationReport) -> Iterator[Sentence]:
    """The trained model against the control, after training and on the way there."""
    likelihood = report.likelihood or {}
    ours, control = (likelihood.get(name, {}).get(ALL_HELD_OUT) for name in ("trained", CONTROL))
    if ours is not None and control is not None:
        now, other = ours.bits_per_byte.value, control.bits_per_byte.value
        told = f"{percent(abs(now / other - 1))} {'fewer' if now < other else 'more'} bits for Turkish"
        yield Sentence(
            kind="good" if now < other else "bad",
            text=f"The trained model needs {told} than the control, the base trained for as many operations "
            f"with its own tokenizer: {now:.3f} and {other:.3f} bits per byte.",
        )
    if report.control is not None:
        text = f"While training, at equal compute, it {report.control.by_compute}."
        if ours is None or control is None:
            text = f"While training, at equal compute, ours {report.control.by_compute}."
        yield Sentence(kind="good" if report.control.difference < 0 else "bad", text=text)


def _first_and_last(report: EvaluationReport) -> tuple[str, str | None]:
    """The base and the last of our models; None where only the base was measured."""
    names = [name for name in OURS if name in (report.likelihood or {})]
    return (names[0], names[-1]) if len(names) > 1 else ("base", None)


_DIRECTIONS = {"tr-en": "Turkish to English", "en-tr": "English to Turkish"}
_WRITING = {
    "morphology": "an analyser accepts {value} of its words",
    "harmony": "{value} of its words obey vowel harmony",
    "coherence": "{value} of its samples are Turkish and {repeated} of its runs of four words repeated",
}
"""By key of the criterion, the words for a figure of generated text."""


def abilities(report: EvaluationReport) -> Iterator[Sentence]:
    """The sentences about tasks, translation and generated text that the figures support."""
    yield from _tasks(report)
    yield from _translation(report)
    yield from _writing(report)


def _tasks(report: EvaluationReport) -> Iterator[Sentence]:
    """Tasks in which the last model is clearly better or worse than the base; losses are first."""
    tasks = report.tasks or {}
    last = furthest_model(name for part in tasks.values() for name in part.models)
    changes = {
        f"{name} ({LANGUAGES[part.language]})": change
        for name, part in tasks.items()
        if (change := part.main_difference(last)) is not None
    }
    yield from _told(
        changes,
        1.0,
        {
            "bad": f"In tasks the {last} model scores clearly lower than the base: {{}}.",
            "good": f"In tasks the {last} model scores clearly higher than the base: {{}}.",
            "plain": f"In these tasks the {last} model does not clearly differ from the base: {{}}.",
        },
    )


def _translation(report: EvaluationReport) -> Iterator[Sentence]:
    """By chrF, which counts parts of words and so suits a language with long words."""
    found = report.translation or {}
    last = furthest_model(found)
    changes = {
        _DIRECTIONS[direction]: part.chrf_change
        for direction, part in (found[last] if last else {}).items()
        if part.chrf_change is not None
    }
    yield from _told(
        changes,
        0.01,
        {
            "bad": f"The {last} model translates clearly worse than the base, by chrF: {{}}.",
            "good": f"The {last} model translates clearly better than the base, by chrF: {{}}.",
            "plain": f"In translation the {last} model does not clearly differ from the base, by chrF: {{}}.",
        },
    )


def _told(changes: Mapping[str, Figure], unit: float, words: Mapping[Kind, str]) -> Iterator[Sentence]:
    """A sentence for each kind of news among `changes`, the paired differences from the base by name; times
    `unit` they are shares of 1."""
    for kind, text in words.items():
        items = [
            f"{name} {points(unit * change.value)}"
            for name, change in changes.items()
            if kind_of_change(change) == kind
        ]
        if items:
            yield Sentence(kind=kind, text=text.format(listed(items)))


def _writing(report: EvaluationReport) -> Iterator[Sentence]:
    """The guide's targets that the last model's generated text misses."""
    generated = report.generated or {}
    last = furthest_model(generated)
    repeated = generated[last].repeated if last else None
    said = {"repeated": percent(repeated.value)} if repeated else {}
    kinds: tuple[tuple[Kind, bool], ...] = (("bad", True), ("plain", False))
    for kind, certain in kinds:
        items = [
            _WRITING[row.key].format(value=percent(row.value.value), **said) + f" (asked: {row.target})"
            for row in report.criteria
            if row.key in _WRITING and row.met is False and row.value and bool(row.certain) == certain
        ]
        if items:
            doubt = "" if certain else ", but the intervals include them or are not known"
            text = f"Text of the {last} model misses targets of the guide{doubt}: {listed(items)}."
            yield Sentence(kind=kind, text=text)
