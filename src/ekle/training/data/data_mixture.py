"""What training reads: which sources, and how much of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ekle.artifacts import BaseModel, Corpus, ExtendedModel
from ekle.bpe.chat_templates import default_template
from ekle.bpe.graft import base_token_ids
from ekle.bpe.opening import open_tokenizer_file
from ekle.errors import TrainingError
from ekle.files import read_json
from ekle.model.encoding import END_OF_TEXT
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.training.data.chat_template import chat_template
from ekle.training.data.conversations import Conversations
from ekle.training.data.curriculum import make_curriculum
from ekle.training.data.documents import Documents, Encode, Lines, TokenTransform, encoder
from ekle.training.data.merge_dropout import MergeDropout
from ekle.training.data.packing import Cursor, Source, check_enough_text

_TURKISH = "turkish"


def make_sources(
    recipe: Recipe,
    corpus: Corpus,
    model: ExtendedModel | BaseModel,
    tokenizer: Any,
    tokens: int,
    reporter: ProgressReporter,
) -> list[Source]:
    """The sources of `recipe`, Turkish ones first; their shares add up to 1.

    Args:
        recipe: shares and weights; `ekle.pipeline.preflight` has compared them with the corpus's settings.
        corpus: the documents.
        model: has the tokenizer; an extended one also the new tokens, which merge dropout is about.
        tokenizer: the same tokenizer as transformers reads it, for its special tokens.
        tokens: of one step.
        reporter: receives a message for each source that is asked for and not there.

    Raises:
        TrainingError: the tokenizer lacks <|endoftext|> or a chat template, or a source has no documents or
            too few for one step.
        TextError: a file of the corpus cannot be read.
    """
    settings = recipe.training
    fast = open_tokenizer_file(model.model / "tokenizer.json")
    encode, start, seed = encoder(fast), fast.token_to_id(END_OF_TEXT), recipe.seed
    if start is None:
        raise TrainingError(f"the tokenizer of {model.model} has no {END_OF_TEXT} to separate documents")
    transform = _dropout(recipe, model)
    others: list[Source] = []
    if settings.replay_share and (lines := _lines_of(corpus.replay, seed, reporter, "replay text")):
        documents = Documents(lines, encode, start, transform)
        others.append(Source("replay", settings.replay_share, documents))
    if settings.instruction_share and (
        lines := _lines_of(corpus.instructions, seed, reporter, "instructions")
    ):
        text = default_template(model.model)
        template = chat_template(text, tokenizer.special_tokens_map, f"the tokenizer in {model.model}")
        conversations = Conversations(lines, encode, template, settings.answers_only)
        others.append(Source("instructions", settings.instruction_share, conversations))
    share = 1 - sum(source.share for source in others)
    own = _own(recipe, corpus, share, encode, start, transform)
    check_enough_text([source.documents for source in own], round(tokens * share))
    return [*own, *others]


def apply_curriculum(
    sources: Sequence[Source],
    recipe: Recipe,
    tokens: int,
    folder: Path,
    cursor: Cursor,
    writes: bool,
    reporter: ProgressReporter,
) -> None:
    """Put the Turkish sources into the order of the recipe's curriculum, if it has one.

    Args:
        sources: of `make_sources`.
        recipe: the curriculum.
        tokens: of one step.
        folder: keeps measures and orders.
        cursor: where the run starts or goes on.
        writes: whether this process makes an order; the others read the one that it made.
        reporter: receives progress.

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
            documents.reorder(
                make_curriculum(documents, length, curriculum, recipe.seed, kept, begun, reporter)
            )


def _own(
    recipe: Recipe, corpus: Corpus, share: float, encode: Encode, start: int, transform: TokenTransform | None
) -> list[Source]:
    """The Turkish sources: one, or one for each weight, numbered in the order of the corpus."""
    weights = recipe.training.source_weights
    if not weights:
        lines = Lines(corpus.train, recipe.seed)
        return [Source(_TURKISH, share, Documents(lines, encode, start, transform))]
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
            Documents(Lines(corpus.train, recipe.seed, byte_range), encode, start, transform),
        )
        for number, (name, byte_range) in enumerate(stretches.items(), start=1)
        if name in weights
    ]


def _lines_of(path: Path, seed: int, reporter: ProgressReporter, what: str) -> Lines | None:
    """The lines of a file; None if it is absent or empty."""
    lines = Lines(path, seed) if path.exists() else None
    if not lines:
        reporter.say(f"the corpus has no {what}: training reads none")
    return lines or None


def _dropout(recipe: Recipe, model: ExtendedModel | BaseModel) -> TokenTransform | None:
    if not recipe.training.merge_dropout or isinstance(model, BaseModel):
        return None
    base_tokens = base_token_ids(read_json(model.model / "tokenizer.json"), model.first_new_id)
    return MergeDropout(base_tokens, recipe.training.merge_dropout, recipe.seed).transform
