"""What the page's tables gather from several parts of report.json."""

from collections.abc import Mapping
from typing import Any

from ekle.evaluation.names import ALL_HELD_OUT, OURS, other_names
from ekle.page.formatting import SPACE, counted

Figures = Mapping[str, Any]


def sections(figures: Figures) -> list[tuple[str, str]]:
    """The sections that there are figures for: name of the template, and title in the list of contents.

    The order is a sceptic's: what was asked, whether to believe it, then what was gained and what it cost.
    """
    has, read = figures.keys(), {"drift", "likelihood"}
    every = (
        ("criteria", "What was asked", bool(figures.get("criteria"))),
        ("trust", "Whether to believe it", any(figures["texts"].values())),
        ("tokens", "Tokens", "tokens" in has),
        ("peers", "Other tokenizers", "beside" in has),
        ("words", "Words", "tokens" in has),
        ("morphology", "Morphology", _morphology_source(figures) is not None),
        ("likelihood", "Turkish", bool(figures["texts"]["held_out"]) and "likelihood" in has),
        ("tasks", "Tasks", bool(figures.get("tasks"))),
        ("training", "Training", bool(figures.get("training"))),
        ("forgetting", "What it cost the rest", bool(figures["texts"]["other"]) and bool(read & has)),
        ("translation", "Translation", "translation" in has),
        ("generation", "Its own words", "generation" in has or "generated" in has),
        ("inference", "Speed and memory", "inference" in has),
        ("method", "Method", True),
    )
    return [(name, title) for name, title, there in every if there]


def cuts_by(figures: Figures, wanted: str) -> tuple[str, Mapping[str, Any]]:
    """Whose morphemes the figure `wanted` of the tokenizers is taken by, and the tokenizers' figures.

    What people have marked comes first; the lexicon stands in. Empty where neither has the figure.
    """
    morphology = figures.get("morphology", {})
    by = [*morphology.get("gold", {}).items(), ("the lexicon", morphology.get("lexicon", {}))]
    for name, part in by:
        tokenizers = part.get("by_tokenizer", {})
        if any(wanted in own for own in tokenizers.values()):
            return name, tokenizers
    return "", {}


def peers(figures: Figures) -> list[dict[str, Any]]:
    """A row a tokenizer, ours first: `name`, `size`, `counts`, `saved`, `root_uncut`, `no_wrong_cut`,
    `drift` (the largest share of lines changed, and of which text) and `speed` against the base's.

    None stands for what was not measured.
    """
    beside = figures.get("beside", {})
    if not beside:
        return []
    tokens, drift = figures.get("tokens"), figures.get("drift", {})
    vocabulary = figures.get("vocabulary", {})
    ours: dict[str, dict[str, Any]] = {"base": {"size": "what all are held against"}, "extended": {}}
    if "size" in vocabulary:
        ours["extended"]["size"] = f"{vocabulary['size']:,} new tokens"
    elif tokens:
        ours["extended"]["size"] = f"{tokens['new_tokens']['available']:,} new tokens"
    if tokens:
        ours["base"] |= {"counts": tokens[ALL_HELD_OUT]["base"], "speed": None}
        ours["extended"] |= {
            "counts": tokens[ALL_HELD_OUT]["extended"],
            "saved": tokens[ALL_HELD_OUT]["saved"],
            "speed": tokens["speed"]["ratio"],
        }
    if drift:
        ours["extended"]["drift"] = _most({name: part["share"] for name, part in drift.items()})
    others = {
        name: {
            "size": counted(part["vocabulary"], "token"),
            "counts": part.get(ALL_HELD_OUT),
            "saved": part.get(ALL_HELD_OUT, {}).get("saved"),
            "speed": part.get("speed", {}).get("ratio"),
            "drift": _most(part.get("drift", {})),
        }
        for name, part in beside.items()
    }
    rows = []
    for name, row in (ours | others).items():
        shares = {key: cuts_by(figures, key)[1].get(name, {}).get(key) for key in _SHARES}
        rows.append(
            dict.fromkeys(("size", "counts", "saved", "drift", "speed")) | {"name": name} | shares | row
        )
    return rows


def most_overlapping(figures: Figures) -> str | None:
    """The text of which most documents overlap with what was learned from."""
    overlap = figures.get("overlap", {})
    shares = {name: part["overlapping"] for name, part in overlap.items() if "overlapping" in part}
    return max(shares, key=lambda name: float(shares[name]["value"]), default=None)


def asked_of_models(figures: Figures) -> dict[str, Any]:
    """What stands in `overlap` and is no text: questions of tasks, and sentences to translate."""
    texts = {*figures["texts"].get("held_out", {}), *other_names(figures).values()}
    return {name: part for name, part in figures.get("overlap", {}).items() if name not in texts}


def roots_whole(figures: Figures) -> dict[str, dict[str, Any]]:
    """Share of inflected words whose root is whole, by tokenizer and by what marks the root."""
    morphology = figures.get("morphology", {})
    by = {**morphology.get("gold", {}), "the lexicon": morphology.get("lexicon", {})}
    found: dict[str, dict[str, Any]] = {}
    for source, part in by.items():
        for name, own in part.get("by_tokenizer", {}).items():
            if "root_uncut" in own:
                found.setdefault(name, {})[source] = own["root_uncut"]
    return found


def task_groups(figures: Figures) -> list[tuple[str, list[tuple[str, Any]]]]:
    """The tasks by language, Turkish first."""
    tasks = figures.get("tasks", {})
    languages = sorted({part["language"] for part in tasks.values()}, key=lambda name: (name != "tr", name))
    return [
        (language, [item for item in tasks.items() if item[1]["language"] == language])
        for language in languages
    ]


def colours(figures: Figures) -> dict[str, str]:
    """The colour of each model and tokenizer, the same in every plot and table."""
    measured = [name for key in _BY_NAME for name in figures.get(key, {})]
    others = dict.fromkeys(name for name in (*measured, *roots_whole(figures)) if name not in OURS)
    return {name: name for name in OURS} | {
        name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(others)
    }


def why(word: Mapping[str, Any]) -> str:
    """Why a word of `tokens.words.costly` still costs what it costs; empty where nothing is known."""
    match word.get("why"):
        case "pre_tokenizer":
            return f"cut into {f'{SPACE}| '.join(word['pieces'])} before any vocabulary is asked"
        case "unknown":
            return "no word of the lexicon: a name, a foreign word or a slip"
        case "root":
            return f"its root {word['root']} has no token of its own{_more(word)}"
        case "capital":
            return (
                f"its root {word['root']} is one token in lower case, but not as it stands here{_more(word)}"
            )
        case "suffixes":
            return f"the root {word['root']} is one token, and {_behind(word)} behind it"
    return ""


_BY_NAME = ("beside", "models", "likelihood", "generation", "translation")
_OTHERS = ("line-3", "line-5", "line-4", "line-6")
_PEER = ("size", "counts", "saved", "drift", "speed")
_SHARES = ("root_uncut", "no_wrong_cut")


def _more(word: Mapping[str, Any]) -> str:
    return f", and {_behind(word)} behind it" if word["suffixes"] else ""


def _behind(word: Mapping[str, Any]) -> str:
    number = len(word["suffixes"])
    stand = "one suffix stands" if number == 1 else f"{number} suffixes stand"
    return f"{stand} (-{'-'.join(word['suffixes'])})"


def _most(shares: Mapping[str, Any]) -> dict[str, Any] | None:
    if not shares:
        return None
    worst = max(shares, key=lambda name: float(shares[name]["value"]))
    return {"share": shares[worst]["value"], "text": worst}


def _morphology_source(figures: Figures) -> str | None:
    return next((name for key in ("root_uncut", "no_wrong_cut") if (name := cuts_by(figures, key)[0])), None)
