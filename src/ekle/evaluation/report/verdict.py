"""What the figures mean, in plain sentences; the report opens with them."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from ekle.evaluation.names import ALL_HELD_OUT, OURS, furthest_model, other_names
from ekle.evaluation.tasks.scores import main_difference
from ekle.evaluation.trust.intervals import is_significant
from ekle.page.formatting import LANGUAGES, SPACE, amount, listed, percent, points, size, span

Kind = Literal["headline", "good", "bad", "plain", "note"]


class Sentence(NamedTuple):
    """A sentence of the verdict; `kind` says whether it is good news."""

    kind: Kind
    text: str


def kind_of_change(change: Mapping[str, Any], *, less_is_better: bool = False) -> Kind:
    """What a change is: good or bad where its interval leaves 0 out, plain otherwise."""
    if not is_significant(change):
        return "plain"
    return "good" if (change["value"] < 0) == less_is_better else "bad"


TOY_PARAMETERS = 50_000_000
"""A model with fewer parameters, rows not counted, is a stand-in; the smallest Qwen3 has 440 million."""

_COPIED = 0.01
"""Share of documents that mostly stand in the learned text from which the figures are in doubt."""


def verdict(figures: dict[str, Any]) -> list[Sentence]:
    """The sentences that `figures` (the content of report.json) support; the headline comes first."""
    return [
        *_tokens(figures),
        *_morphology(figures),
        *_likelihood(figures),
        *_drift(figures),
        *_forgetting(figures),
        *abilities(figures),
        *_inference(figures),
        *_criteria(figures),
        *_untouched(figures),
        *_overlap(figures),
        *_caveats(figures),
    ]


def is_toy(figures: dict[str, Any]) -> bool:
    """Whether the base is too small for its quality to mean anything."""
    base = figures.get("models", {}).get("base")
    return base is not None and base["parameters"] - base["row_parameters"] < TOY_PARAMETERS


def _tokens(figures: dict[str, Any]) -> list[Sentence]:
    if "tokens" not in figures:
        return [
            Sentence("headline", "No Turkish text was held out, so nothing can be said about Turkish."),
        ]
    whole, genres = figures["tokens"]["together"], figures["tokens"]["by_text"]
    value = whole["saved"]["value"]
    direction = "fewer" if value >= 0 else "more"
    limits = span(whole["saved"])
    spread = (
        f" The saving lies between {limits.replace(' to ', ' and ')} (95{SPACE}% interval)." if limits else ""
    )
    where = f"in {len(genres)} genres" if len(genres) > 1 else f"({next(iter(genres))})"
    return [
        Sentence("headline", f"Turkish text takes {percent(abs(value))} {direction} tokens."),
        Sentence(
            kind_of_change(whole["saved"]),
            f"A word takes {whole['extended']['tokens_per_word']:.2f} tokens instead of "
            f"{whole['base']['tokens_per_word']:.2f}, on {size(whole['bytes'])} of held-out text "
            f"{where}.{spread}",
        ),
        Sentence(
            "plain",
            f"The most that any vocabulary could save, as long as text is split into words the way the "
            f"base does it, is {percent(whole['floor']['saved'])}.",
        ),
    ]


def _morphology(figures: dict[str, Any]) -> list[Sentence]:
    """How often roots stay whole: by gold where there is some, by the lexicon otherwise."""
    found = figures.get("morphology", {})
    by = [(f"of {name}", part) for name, part in found.get("gold", {}).items()]
    for where, part in by or [("that a lexicon knows", found.get("lexicon", {}))]:
        own = part.get("by_tokenizer", {})
        if "root_uncut" in own.get("base", {}) and "root_uncut" in own.get("extended", {}):
            now, before = (own[name]["root_uncut"]["value"] for name in ("extended", "base"))
            change = own["extended"].get("root_uncut_difference", {})
            text = f"No token ends inside the root in {percent(now)} of the inflected words {where}"
            doubt = "" if is_significant(change) or now == before else ", which is not told apart from that"
            own_lexicon = figures.get("vocabulary", {}).get("profile") == "morphological" and not by
            caveat = " The vocabulary was learned with that lexicon too." if own_lexicon else ""
            return [
                Sentence(kind_of_change(change), f"{text}; before it was {percent(before)}{doubt}.{caveat}")
            ]
    return []


def _likelihood(figures: dict[str, Any]) -> list[Sentence]:
    """How the last model stands against the base on Turkish."""
    base, last = _first_and_last(figures)
    if last is None or ALL_HELD_OUT not in figures["likelihood"][last]:
        return []
    before = figures["likelihood"][base][ALL_HELD_OUT]["bits_per_byte"]["value"]
    now = figures["likelihood"][last][ALL_HELD_OUT]
    middle = figures["likelihood"].get("extended", {}).get(ALL_HELD_OUT) if last != "extended" else None
    change = now["change"]
    numbers = f"{now['bits_per_byte']['value']:.3f} instead of {before:.3f} bits a byte"
    start = (
        f" Before training, with its new rows only initialised, it stood at "
        f"{middle['bits_per_byte']['value']:.3f}."
        if middle
        else ""
    )
    better = change["value"] < 0
    fewer = f"{percent(abs(change['value']))} {'fewer' if better else 'more'} bits than the base"
    if "low" not in change:
        text = f"For Turkish the {last} model needs {fewer}, on too little text to be sure of it: {numbers}."
        return [Sentence("plain", f"{text}{start}")]
    if not is_significant(change):
        text = f"On Turkish the {last} model cannot be told apart from the base: {numbers}.{start}"
        return [Sentence("plain", text)]
    text = f"For Turkish the {last} model needs {fewer}: {numbers}.{start}"
    return [Sentence(kind_of_change(change, less_is_better=True), text)]


def _drift(figures: dict[str, Any]) -> list[Sentence]:
    drift = figures.get("drift", {})
    if not drift:
        return []
    touched = sorted(
        (name for name in drift if drift[name]["changed"]), key=lambda name: -drift[name]["share"]["value"]
    )
    if not touched:
        lines = sum(part["lines"] for part in drift.values())
        return [Sentence("good", f"Not one of {lines:,} lines of {listed(list(drift))} is cut differently.")]
    shares = [f"{percent(drift[name]['share']['value'])} of {name}" for name in touched[:4]]
    others = len(drift) - len(shares)
    least = "less" if len(touched) > len(shares) else "none"
    more = f", {least} of the {'other text' if others == 1 else f'{others} others'}" if others else ""
    return [Sentence("plain", f"Lines that are cut differently than before: {listed(shares)}{more}.")]


def _forgetting(figures: dict[str, Any]) -> list[Sentence]:
    """Other languages that the last model reads clearly worse or better than the base."""
    _, last = _first_and_last(figures)
    if last is None:
        return []
    own = figures["likelihood"][last]
    changes = {
        name: own[key]["change"] for name, key in other_names(figures).items() if "change" in own.get(key, {})
    }
    worse = [
        f"{name} {percent(item['value'])}"
        for name, item in changes.items()
        if kind_of_change(item, less_is_better=True) == "bad"
    ]
    if worse:
        text = f"Other text costs the {last} model more bits than the base: {listed(worse)}."
        return [Sentence("bad", text)]
    if changes and all("low" in item for item in changes.values()):
        text = f"Other text does not clearly cost the {last} model more bits than the base"
        return [Sentence("good", f"{text}: {listed(list(changes))}.")]
    return []


def _inference(figures: dict[str, Any]) -> list[Sentence]:
    """What the same text costs to write, in time and in memory."""
    found = figures.get("inference", {})
    if "generation" not in found:
        return []
    gain, cache = found["generation"]["gain"], found["kv_cache"]["saved"]["value"]
    name = found["models"][-1]
    told = (
        "as fast, as far as can be told," if not is_significant(gain) else f"{percent(abs(gain['value']))} "
    )
    told += "" if not is_significant(gain) else "faster" if gain["value"] > 0 else "slower"
    memory = f"{percent(abs(cache))} {'less' if cache >= 0 else 'more'} memory for keys and values"
    return [Sentence(kind_of_change(gain), f"The {name} model writes the same text {told} with {memory}.")]


def _criteria(figures: dict[str, Any]) -> list[Sentence]:
    rows = [row for row in figures.get("criteria", []) if "met" in row]
    if not rows:
        return []
    missed = [f"{row['name']}{'' if _sure(row) else ' (not certain)'}" for row in rows if not row["met"]]
    met = len(rows) - len(missed)
    unsure = sum(row["met"] and not _sure(row) for row in rows)
    text = f"Of the guide's criteria {len(rows)} were measured, and {met} {'is' if met == 1 else 'are'} met"
    text += f", {unsure} of them not certainly, as the interval reaches across the limit" if unsure else ""
    return [Sentence("plain", f"{text}{'; not met: ' + listed(missed) if missed else ''}.")]


def _sure(row: dict[str, Any]) -> bool:
    """Whether all of the interval, where there is one, is on the side of the value."""
    return bool(row.get("certain", True))


def _overlap(figures: dict[str, Any]) -> list[Sentence]:
    """Whether what was measured on stands in what was learned from."""
    found = {name: part for name, part in figures.get("overlap", {}).items() if "overlapping" in part}
    if not found:
        return []
    seen = [name for name, part in found.items() if part["overlapping"]["value"] > 0]
    if not seen:
        text = "No document measured on shares eight words in a row with text that was learned from."
        return [Sentence("good", text)]
    shares = [f"{percent(found[name]['overlapping']['value'])} of {name}" for name in seen]
    copied = any(found[name]["mostly"]["value"] > _COPIED for name in seen)
    text = f"Documents that share eight words in a row with text that was learned from: {listed(shares)}."
    return [Sentence("bad" if copied else "plain", text)]


def _untouched(figures: dict[str, Any]) -> list[Sentence]:
    """Whether the extended model is the base, byte for byte, but for its new rows."""
    found = figures.get("untouched")
    if found is None:
        return []
    if found["changed"]:
        names = listed(found["changed"][:4])
        more = f" and {len(found['changed']) - 4} more" if len(found["changed"]) > 4 else ""
        text = f"The extended model no longer is what was written, its weights differ in {names}{more}."
        return [Sentence("bad", text)]
    if found.get("base_changed"):
        text = "The base it is held against is not the one the extended model was made from."
        return [Sentence("bad", text)]
    return [
        Sentence(
            "good",
            f"Before training, all {found['tensors']:,} tensors of the extended model are the base's byte "
            f"for byte, its {found['rows']:,} rows included; only the rows of new tokens are added.",
        )
    ]


def _caveats(figures: dict[str, Any]) -> list[Sentence]:
    sentences: list[Sentence] = []
    if is_toy(figures):
        base = figures["models"]["base"]
        own = amount(base["parameters"] - base["row_parameters"])
        sentences.append(
            Sentence(
                "note",
                f"This is a toy model: {own} parameters besides its embedding rows. It shows that every step "
                "works; its quality is not the point. The figures about tokens do not depend on it.",
            )
        )
    if "trained" in figures.get("likelihood", {}):
        sentences.append(
            Sentence(
                "note",
                "The base has not had the training that the trained model had, so their difference is "
                "the worth of vocabulary and training together.",
            )
        )
    return sentences


def _first_and_last(figures: dict[str, Any]) -> tuple[str, str | None]:
    """The base, and the one of our models that came furthest; None where only the base was measured."""
    names = [name for name in OURS if name in figures.get("likelihood", {})]
    return (names[0], names[-1]) if len(names) > 1 else ("base", None)


Figures = Mapping[str, Any]

_DIRECTIONS = {"tr-en": "Turkish to English", "en-tr": "English to Turkish"}
_WRITING = {
    "morphology": "an analyser accepts {value} of its words",
    "harmony": "{value} of its words obey vowel harmony",
    "coherence": "{value} of its samples are Turkish and {repeated} of its runs of four words repeated",
}
"""By key of the criterion, how a figure of generated text is told."""

_Changes = Mapping[str, Mapping[str, float]]
"""By what was asked, the paired difference from the base, with its interval where that is known."""


def abilities(figures: Figures) -> Iterator[Sentence]:
    """The sentences about tasks, translation and generated text that `figures` support."""
    yield from _tasks(figures)
    yield from _translation(figures)
    yield from _writing(figures)


def _tasks(figures: Figures) -> Iterator[Sentence]:
    """Tasks that the last model does clearly better or worse than the base, those that it loses first."""
    tasks = figures.get("tasks", {})
    last = furthest_model(name for part in tasks.values() for name in part["models"])
    changes = {
        f"{name} ({LANGUAGES[part['language']]})": change
        for name, part in tasks.items()
        if (change := main_difference(part, last)) is not None
    }
    yield from _told(
        changes,
        1.0,
        {
            "bad": f"In tasks the {last} model scores clearly lower than the base: {{}}.",
            "good": f"In tasks the {last} model scores clearly higher than the base: {{}}.",
            "plain": f"In these tasks the {last} model cannot be told apart from the base: {{}}.",
        },
    )


def _translation(figures: Figures) -> Iterator[Sentence]:
    """By chrF, which counts parts of words and so suits a language of long words."""
    found = figures.get("translation", {})
    last = furthest_model(found)
    changes = {
        _DIRECTIONS[way]: part["chrf_change"]
        for way, part in (found[last] if last else {}).items()
        if "chrf_change" in part
    }
    yield from _told(
        changes,
        0.01,
        {
            "bad": f"The {last} model translates clearly worse than the base, by chrF: {{}}.",
            "good": f"The {last} model translates clearly better than the base, by chrF: {{}}.",
            "plain": f"In translation, by chrF, the {last} model cannot be told apart from the base: {{}}.",
        },
    )


def _told(changes: _Changes, unit: float, words: Mapping[Kind, str]) -> Iterator[Sentence]:
    """A sentence for each kind of news among `changes`; `unit` is what makes them shares of 1."""
    for kind, text in words.items():
        items = [
            f"{name} {points(unit * change['value'])}"
            for name, change in changes.items()
            if kind_of_change(change) == kind
        ]
        if items:
            yield Sentence(kind, text.format(listed(items)))


def _writing(figures: Figures) -> Iterator[Sentence]:
    """What of the text that the last model generates misses the guide's targets."""
    generated = figures.get("generated", {})
    last = furthest_model(generated)
    repeated = generated[last].get("repeated") if last else None
    said = {"repeated": percent(repeated["value"])} if repeated else {}
    missed = [
        row for row in figures.get("criteria", []) if row["key"] in _WRITING and not row.get("met", True)
    ]
    kinds: tuple[tuple[Kind, bool], ...] = (("bad", True), ("plain", False))
    for kind, certain in kinds:
        items = [
            _WRITING[row["key"]].format(value=percent(row["value"]["value"]), **said)
            + f" (asked: {row['target']})"
            for row in missed
            if row.get("certain", False) == certain
        ]
        if items:
            doubt = "" if certain else ", though the intervals reach across them or are not known"
            text = f"The {last} model's own text misses targets of the guide{doubt}: {listed(items)}."
            yield Sentence(kind, text)
