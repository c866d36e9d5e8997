"""What training reads: which sources, and how much of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.artifacts import Corpus, ExtendedModel
from ekle.bpe.unmerge import base_pieces
from ekle.errors import TrainingError
from ekle.files import read_json
from ekle.progress import Report
from ekle.recipe import Recipe
from ekle.training.text.conversations import Conversations, template
from ekle.training.text.curriculum import easy_first
from ekle.training.text.documents import Documents, Encode, Lines, Present, encoder
from ekle.training.text.merge_dropout import MergeDropout
from ekle.training.text.packing import Cursor, Source, check_enough

_START = "<|endoftext|>"
_TURKISH = "turkish"


def make_sources(
    recipe: Recipe, corpus: Corpus, extended: ExtendedModel, tokenizer: Any, tokens: int, report: Report
) -> list[Source]:
    """The sources of `recipe`, those in the language to learn first; their shares add up to 1.

    Args:
        recipe: shares and weights; `ekle.pipeline.preflight` has held them against the corpus's settings.
        corpus: the documents.
        extended: names the tokenizer, and the new tokens.
        tokenizer: the same tokenizer as transformers reads it, for its chat template.
        tokens: of a step.
        report: hears of what is asked for and not there.

    Raises:
        TrainingError: the tokenizer lacks what parts or writes documents, there are no documents of a
            source, or too few for one step.
        TextError: a file of the corpus cannot be read.
    """
    settings = recipe.training
    fast = Tokenizer.from_file(str(extended.model / "tokenizer.json"))
    encode, start, seed = encoder(fast), fast.token_to_id(_START), recipe.seed
    if start is None:
        raise TrainingError(f"the tokenizer of {extended.model} has no {_START} to part documents with")
    present = _dropout(recipe, extended)
    others: list[Source] = []
    if settings.replay_share and (lines := _lines_of(corpus.replay, seed, report, "replay text")):
        documents = Documents(lines, encode, start, present)
        others.append(Source("replay", settings.replay_share, documents))
    if settings.instruction_share and (lines := _lines_of(corpus.instructions, seed, report, "instructions")):
        end = str(tokenizer.eos_token or "")
        conversations = Conversations(lines, encode, template(tokenizer), end, settings.answers_only)
        others.append(Source("instructions", settings.instruction_share, conversations))
    share = 1 - sum(source.share for source in others)
    own = _own(recipe, corpus, share, encode, start, present)
    check_enough([source.documents for source in own], round(tokens * share))
    return [*own, *others]


def read_easy_first(
    sources: Sequence[Source],
    recipe: Recipe,
    tokens: int,
    folder: Path,
    cursor: Cursor,
    writes: bool,
    report: Report,
) -> None:
    """Put what is in the language to learn into the order of the recipe's curriculum, if it has one.

    Args:
        sources: of `make_sources`.
        recipe: the curriculum.
        tokens: of a step.
        folder: keeps measures and orders.
        cursor: where the run goes on.
        writes: whether this process may make an order; the others read the one that it has made.
        report: hears of the progress.

    Raises:
        TextError: a line of the corpus is no document.
    """
    curriculum = recipe.training.curriculum
    if curriculum.pacing == "off":
        return
    for place, source in enumerate(sources):
        documents = source.documents
        if isinstance(documents, Documents) and source.name.startswith(_TURKISH):
            length = curriculum.share * recipe.training.steps * tokens * source.share
            begun = not writes or cursor.documents.get(source.name, 0) > 0
            kept = folder / str(place)
            documents.reorder(easy_first(documents, length, curriculum, recipe.seed, kept, begun, report))


def _own(
    recipe: Recipe, corpus: Corpus, share: float, encode: Encode, start: int, present: Present | None
) -> list[Source]:
    """The sources in the language to learn: one, or one for each weight, numbered as the corpus has them."""
    weights = recipe.training.source_weights
    if not weights:
        lines = Lines(corpus.train, recipe.seed)
        return [Source(_TURKISH, share, Documents(lines, encode, start, present))]
    stretches = corpus.stretches
    if missing := [name for name in weights if name not in stretches]:
        raise TrainingError(
            f"the corpus has no document of {', '.join(missing)}; raise corpus.max_bytes, which may "
            "have been used up before, or take it out of corpus.sources and training.source_weights"
        )
    total = sum(weights.values())
    return [
        Source(
            f"{_TURKISH}-{number}",
            share * weights[name] / total,
            Documents(Lines(corpus.train, recipe.seed, stretch), encode, start, present),
        )
        for number, (name, stretch) in enumerate(stretches.items(), start=1)
        if name in weights
    ]


def _lines_of(path: Path, seed: int, report: Report, what: str) -> Lines | None:
    """The lines of a file that may be absent or empty."""
    lines = Lines(path, seed) if path.exists() else None
    if not lines:
        report.say(f"the corpus has no {what}: training reads none")
    return lines or None


def _dropout(recipe: Recipe, extended: ExtendedModel) -> Present | None:
    if not recipe.training.merge_dropout:
        return None
    pieces = base_pieces(read_json(extended.model / "tokenizer.json"), extended.first_new_id)
    return MergeDropout(pieces, recipe.training.merge_dropout, recipe.seed).present
