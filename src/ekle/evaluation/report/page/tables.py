"""What the page's tables gather from several parts of report.json."""

from collections.abc import Mapping
from typing import NamedTuple

from ekle.artifacts.evaluation_report import (
    CONTROL,
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
"""The source of morphemes where no gold is named."""


def sections(report: EvaluationReport) -> list[tuple[str, str]]:
    """The sections that there are figures for: name of the template, and title in the list of contents.

    The order is for a sceptic: what was asked, whether to believe it, then what was gained and what it cost.
    """
    texts, training = report.texts, report.training
    other_text_read = report.drift is not None or report.likelihood is not None
    every = (
        ("criteria", "What was asked", bool(report.criteria)),
        ("trust", "Whether to believe it", bool(texts.held_out or texts.other)),
        ("tokens", "Tokens", report.tokens is not None),
        ("peers", "Other tokenizers", report.peers is not None),
        ("words", "Words", report.tokens is not None),
        ("morphology", "Morphology", _morphology_source(report) is not None),
        ("likelihood", "Turkish", bool(texts.held_out) and report.likelihood is not None),
        ("control", "Control", report.control is not None or CONTROL in (report.likelihood or {})),
        ("tasks", "Tasks", bool(report.tasks)),
        ("training", "Training", training is not None and training != TrainingLogs()),
        ("forgetting", "What it cost the rest", bool(texts.other) and other_text_read),
        ("translation", "Translation", report.translation is not None),
        ("generation", "Generated text", bool(report.generation or report.generated)),
        ("inference", "Speed and memory", report.inference is not None),
        ("method", "Method", True),
    )
    return [(name, title) for name, title, there in every if there]


def boundaries_by(report: EvaluationReport) -> dict[str, dict[str, BoundaryShares]]:
    """The tokenizers' figures by the source of the morphemes: gold first, then the lexicon."""
    morphology = report.morphology
    if morphology is None:
        return {}
    lexicon = morphology.lexicon.by_tokenizer if morphology.lexicon else None
    gold = {name: part.by_tokenizer for name, part in (morphology.gold or {}).items()}
    return gold | ({THE_LEXICON: lexicon} if lexicon else {})


def source_with(report: EvaluationReport, wanted: str) -> tuple[str, Mapping[str, BoundaryShares]]:
    """The source of morphemes that has the figure `wanted`, and the tokenizers' figures by it.

    What people have marked is first, then the lexicon. Empty where neither has the figure.
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
    """A row of the table of tokenizers; None where something was not measured."""

    name: str
    size: str | None = None
    """Its vocabulary, in words."""
    counts: TokenAverages | PeerSavings | None = None
    saved: Figure | None = None
    drift: MostChanged | None = None
    speed: Figure | None = None
    """Of encoding, divided by the base's."""
    root_intact: Figure | None = None
    no_wrong_boundary: Figure | None = None


def peers(report: EvaluationReport) -> list[PeerRow]:
    """A row per tokenizer, ours first; none where no peer was measured."""
    if not report.peers:
        return []
    tokens, drift = report.tokens, report.drift or {}
    size = report.vocabulary.size if report.vocabulary else None
    if size is None and tokens:
        size = tokens.new_tokens.available
    base = PeerRow("base", "the reference", tokens.all_held_out.base if tokens else None)
    extended = PeerRow(
        "extended",
        f"{size:,} new tokens" if size is not None else None,
        tokens.all_held_out.extended if tokens else None,
        tokens.all_held_out.saved if tokens else None,
        _most({name: part.share for name, part in drift.items()}),
        tokens.speed.ratio if tokens else None,
    )
    rows = [base, extended, *(_peer(name, part) for name, part in report.peers.items())]
    roots, boundaries = (source_with(report, key)[1] for key in ("root_intact", "no_wrong_boundary"))
    return [
        row._replace(
            root_intact=roots.get(row.name, BoundaryShares()).root_intact,
            no_wrong_boundary=boundaries.get(row.name, BoundaryShares()).no_wrong_boundary,
        )
        for row in rows
    ]


def _peer(name: str, part: Peer) -> PeerRow:
    return PeerRow(
        name,
        counted(part.vocabulary, "token"),
        part.all_held_out,
        part.all_held_out.saved if part.all_held_out else None,
        _most(part.drift or {}),
        part.speed.ratio if part.speed else None,
    )


def most_overlapping(report: EvaluationReport) -> str | None:
    """The text with the largest share of documents that overlap with the learned text."""
    shares = {
        name: part.overlapping for name, part in (report.contamination or {}).items() if part.overlapping
    }
    return max(shares, key=lambda name: shares[name].value, default=None)


def asked_of_models(report: EvaluationReport) -> dict[str, Contamination]:
    """The entries of `contamination` that are no text: questions of tasks, and sentences to translate."""
    texts = {*report.texts.held_out, *report.texts.other_names.values()}
    return {name: part for name, part in (report.contamination or {}).items() if name not in texts}


def roots_intact(report: EvaluationReport) -> dict[str, dict[str, Figure]]:
    """Share of inflected words with an intact root, by tokenizer and by the source of the roots."""
    found: dict[str, dict[str, Figure]] = {}
    for source, tokenizers in boundaries_by(report).items():
        for name, own in tokenizers.items():
            if own.root_intact:
                found.setdefault(name, {})[source] = own.root_intact
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
    by_name = (report.peers, report.models, report.likelihood, report.generation, report.translation)
    measured = [name for part in by_name for name in part or {}]
    others = dict.fromkeys(name for name in (*measured, *roots_intact(report)) if name not in OURS)
    return {name: name for name in OURS} | {
        name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(others)
    }


def why(word: ExpensiveWord) -> str:
    """Why a word still takes many tokens; empty where no reason is known."""
    match word.why:
        case "pre_tokenizer":
            return f"the pre-tokenizer splits it: {f'{SPACE}| '.join(word.pre_tokens or [])}"
        case "unknown":
            return "not in the lexicon: a name, a foreign word or a spelling mistake"
        case "root":
            return f"its root {word.root} has no token of its own{_more(word)}"
        case "capital":
            return f"its root {word.root} is one token in lower case, but not in this spelling{_more(word)}"
        case "suffixes":
            return f"the root {word.root} is one token, and {_suffixes(word)}"
        case None:
            return ""


_OTHERS = ("line-3", "line-5", "line-4", "line-6")


def _more(word: ExpensiveWord) -> str:
    return f", and {_suffixes(word)}" if word.suffixes else ""


def _suffixes(word: ExpensiveWord) -> str:
    suffixes = word.suffixes or []
    follow = "one suffix follows" if len(suffixes) == 1 else f"{len(suffixes)} suffixes follow"
    return f"{follow} (-{'-'.join(suffixes)})"


def _most(shares: Mapping[str, Figure]) -> MostChanged | None:
    worst = max(shares, key=lambda name: shares[name].value, default=None)
    return None if worst is None else MostChanged(worst, shares[worst].value)


def _morphology_source(report: EvaluationReport) -> str | None:
    return source_with(report, "root_intact")[0] or source_with(report, "no_wrong_boundary")[0] or None
