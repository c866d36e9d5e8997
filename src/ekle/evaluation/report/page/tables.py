"""What the page's tables gather from several parts of report.json."""

from collections.abc import Mapping
from typing import NamedTuple

from ekle.artifacts.evaluation_report import (
    OURS,
    BoundaryShares,
    Contamination,
    EvaluationReport,
    ExpensiveWord,
    Figure,
    Peer,
    PeerSavings,
    TaskResult,
    TokenAverages,
    TrainingLogs,
)
from ekle.page.formatting import SPACE, counted

THE_LEXICON = "the lexicon"
"""What marks morphemes where no gold is named."""


def sections(report: EvaluationReport) -> list[tuple[str, str]]:
    """The sections that there are figures for: name of the template, and title in the list of contents.

    The order is a sceptic's: what was asked, whether to believe it, then what was gained and what it cost.
    """
    texts, training = report.texts, report.training
    other_text_read = report.drift is not None or report.likelihood is not None
    every = (
        ("criteria", "What was asked", bool(report.criteria)),
        ("trust", "Whether to believe it", bool(texts.held_out or texts.other)),
        ("tokens", "Tokens", report.tokens is not None),
        ("peers", "Other tokenizers", report.beside is not None),
        ("words", "Words", report.tokens is not None),
        ("morphology", "Morphology", _morphology_source(report) is not None),
        ("likelihood", "Turkish", bool(texts.held_out) and report.likelihood is not None),
        ("tasks", "Tasks", bool(report.tasks)),
        ("training", "Training", training is not None and training != TrainingLogs()),
        ("forgetting", "What it cost the rest", bool(texts.other) and other_text_read),
        ("translation", "Translation", report.translation is not None),
        ("generation", "Its own words", bool(report.generation or report.generated)),
        ("inference", "Speed and memory", report.inference is not None),
        ("method", "Method", True),
    )
    return [(name, title) for name, title, there in every if there]


def boundaries_by(report: EvaluationReport) -> dict[str, dict[str, BoundaryShares]]:
    """By what marks the morphemes, the tokenizers' figures: gold first, then the lexicon."""
    morphology = report.morphology
    if morphology is None:
        return {}
    lexicon = morphology.lexicon.by_tokenizer if morphology.lexicon else None
    gold = {name: part.by_tokenizer for name, part in (morphology.gold or {}).items()}
    return gold | ({THE_LEXICON: lexicon} if lexicon else {})


def source_of(report: EvaluationReport, wanted: str) -> tuple[str, Mapping[str, BoundaryShares]]:
    """By whose morphemes the figure `wanted` of the tokenizers is taken, and the tokenizers' figures.

    What people have marked comes first; the lexicon stands in. Empty where neither has the figure.
    """
    for name, tokenizers in boundaries_by(report).items():
        if any(getattr(own, wanted) is not None for own in tokenizers.values()):
            return name, tokenizers
    return "", {}


class MostChanged(NamedTuple):
    """The other text of which most lines changed."""

    text: str
    share: float


class PeerRow(NamedTuple):
    """A tokenizer beside the others; None where something was not measured."""

    name: str
    size: str | None = None
    """Its vocabulary, in words."""
    counts: TokenAverages | PeerSavings | None = None
    saved: Figure | None = None
    drift: MostChanged | None = None
    speed: Figure | None = None
    """Of encoding, divided by the base's."""
    root_uncut: Figure | None = None
    no_wrong_cut: Figure | None = None


def peers(report: EvaluationReport) -> list[PeerRow]:
    """A row a tokenizer, ours first; none where no other was measured."""
    if not report.beside:
        return []
    tokens, drift = report.tokens, report.drift or {}
    size = report.vocabulary.size if report.vocabulary else None
    if size is None and tokens:
        size = tokens.new_tokens.available
    base = PeerRow("base", "what all are held against", tokens.together.base if tokens else None)
    extended = PeerRow(
        "extended",
        f"{size:,} new tokens" if size is not None else None,
        tokens.together.extended if tokens else None,
        tokens.together.saved if tokens else None,
        _most({name: part.share for name, part in drift.items()}),
        tokens.speed.ratio if tokens else None,
    )
    rows = [base, extended, *(_peer(name, part) for name, part in report.beside.items())]
    roots, boundaries = (source_of(report, key)[1] for key in ("root_uncut", "no_wrong_cut"))
    return [
        row._replace(
            root_uncut=roots.get(row.name, BoundaryShares()).root_uncut,
            no_wrong_cut=boundaries.get(row.name, BoundaryShares()).no_wrong_cut,
        )
        for row in rows
    ]


def _peer(name: str, part: Peer) -> PeerRow:
    return PeerRow(
        name,
        counted(part.vocabulary, "token"),
        part.together,
        part.together.saved if part.together else None,
        _most(part.drift or {}),
        part.speed.ratio if part.speed else None,
    )


def most_overlapping(report: EvaluationReport) -> str | None:
    """The text of which most documents overlap with what was learned from."""
    shares = {name: part.overlapping for name, part in (report.overlap or {}).items() if part.overlapping}
    return max(shares, key=lambda name: shares[name].value, default=None)


def asked_of_models(report: EvaluationReport) -> dict[str, Contamination]:
    """What stands in `overlap` and is no text: questions of tasks, and sentences to translate."""
    texts = {*report.texts.held_out, *report.texts.other_names.values()}
    return {name: part for name, part in (report.overlap or {}).items() if name not in texts}


def roots_whole(report: EvaluationReport) -> dict[str, dict[str, Figure]]:
    """Share of inflected words whose root is whole, by tokenizer and by what marks the root."""
    found: dict[str, dict[str, Figure]] = {}
    for source, tokenizers in boundaries_by(report).items():
        for name, own in tokenizers.items():
            if own.root_uncut:
                found.setdefault(name, {})[source] = own.root_uncut
    return found


def task_groups(report: EvaluationReport) -> list[tuple[str, list[tuple[str, TaskResult]]]]:
    """The tasks by language, Turkish first."""
    tasks = report.tasks or {}
    languages = sorted({part.language for part in tasks.values()}, key=lambda name: (name != "tr", name))
    return [
        (language, [item for item in tasks.items() if item[1].language == language]) for language in languages
    ]


def colours(report: EvaluationReport) -> dict[str, str]:
    """The colour of each model and tokenizer, the same in every plot and table."""
    by_name = (report.beside, report.models, report.likelihood, report.generation, report.translation)
    measured = [name for part in by_name for name in part or {}]
    others = dict.fromkeys(name for name in (*measured, *roots_whole(report)) if name not in OURS)
    return {name: name for name in OURS} | {
        name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(others)
    }


def why(word: ExpensiveWord) -> str:
    """Why a word still costs what it costs; empty where nothing is known."""
    match word.why:
        case "pre_tokenizer":
            return f"cut into {f'{SPACE}| '.join(word.pieces or [])} before any vocabulary is asked"
        case "unknown":
            return "no word of the lexicon: a name, a foreign word or a slip"
        case "root":
            return f"its root {word.root} has no token of its own{_more(word)}"
        case "capital":
            return f"its root {word.root} is one token in lower case, but not as it stands here{_more(word)}"
        case "suffixes":
            return f"the root {word.root} is one token, and {_behind(word)} behind it"
        case None:
            return ""


_OTHERS = ("line-3", "line-5", "line-4", "line-6")


def _more(word: ExpensiveWord) -> str:
    return f", and {_behind(word)} behind it" if word.suffixes else ""


def _behind(word: ExpensiveWord) -> str:
    suffixes = word.suffixes or []
    stand = "one suffix stands" if len(suffixes) == 1 else f"{len(suffixes)} suffixes stand"
    return f"{stand} (-{'-'.join(suffixes)})"


def _most(shares: Mapping[str, Figure]) -> MostChanged | None:
    worst = max(shares, key=lambda name: shares[name].value, default=None)
    return None if worst is None else MostChanged(worst, shares[worst].value)


def _morphology_source(report: EvaluationReport) -> str | None:
    return source_of(report, "root_uncut")[0] or source_of(report, "no_wrong_cut")[0] or None
