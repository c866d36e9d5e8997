"""Embeddings for new tokens: which rule computes or learns them, for which matrix.

A rule may treat input and output embeddings differently. Where they are tied, a new row is the mean of the
two rows that the rule gives.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, assert_never

import torch
from torch import Tensor

from ekle.artifacts import NewToken
from ekle.bpe.tokenizer_pair import AlignedEncoding, TokenizerPair
from ekle.extension.rules.averages import (
    Mixture,
    asymmetric_input_rows,
    first_base_token_rows,
    last_base_token_rows,
    length_weighted_rows,
    mean_rows,
    mix,
    statistical_rows,
    subword_rows,
)
from ekle.extension.rules.distilled import (
    DistillationProgress,
    distilled_rows,
    held_out_passages,
    replay_passages,
    snippets,
)
from ekle.extension.rules.focus import focus_mixture, static_vectors
from ekle.extension.rules.held_out import SEQUENCE_TOKENS
from ekle.extension.rules.hybrid import hybrid_rows
from ekle.extension.rules.mapped.rule import MappedInputs, mapped_rows
from ekle.extension.rules.similarity import Neighbours, similarity_rows
from ekle.extension.rules.teacher_student import Distiller, load_teacher
from ekle.extension.rules.text_sample import first_bytes
from ekle.model.checkpoint.weights import (
    INPUT_EMBEDDINGS,
    OUTPUT_EMBEDDINGS,
    EmbeddingMatrix,
    StoredEmbeddingMatrix,
    Weights,
)
from ekle.model.layers.hidden_states import depth_to_layer
from ekle.model.processes import Processes
from ekle.model.row_statistics import RowStatistics, row_statistics
from ekle.planning.flops import cost_of, countable_shape, map_update_cost
from ekle.progress import ProgressReporter
from ekle.recipe.extension import ExtensionSettings, Heuristic

End = Literal["input", "output", "both"]
"""The use of an embedding matrix: input, output, or both because they are tied."""


@dataclass(frozen=True)
class InitialisationContext:
    """What a rule may use in addition to the base's embeddings.

    Attributes:
        tokens: the new tokens.
        used_ids: ids of the base rows that have a token; the other rows were never trained.
        base_token_bytes: the bytes of each base token, by id; without added tokens.
        settings: the rule and its settings.
        documents: gives the user's texts, from the first one each time.
        tokenizer_pair: loads base and extended tokenizer.
        prefix_token_id: gives the token to put before a text.
        replay: gives texts in other languages, from the first one each time.
    """

    tokens: Sequence[NewToken]
    used_ids: Tensor
    base_token_bytes: Mapping[int, bytes]
    settings: ExtensionSettings
    documents: Callable[[], Iterator[str]]
    tokenizer_pair: Callable[[], TokenizerPair]
    prefix_token_id: Callable[[], int]
    replay: Callable[[], Iterator[str]] = lambda: iter(())

    @cached_property
    def base_token_ids(self) -> list[list[int]]:
        """Ids of the base tokens of each new token."""
        return [token.base_tokens for token in self.tokens]

    @cached_property
    def base_token_sizes(self) -> dict[int, int]:
        """Number of bytes of each base token, by id."""
        return {number: len(raw) for number, raw in self.base_token_bytes.items()}

    @cached_property
    def neighbours(self) -> Neighbours:
        """The morphological neighbours of the new tokens."""
        return Neighbours(self.tokens, self.base_token_bytes, self.settings.similarity.members)

    @cached_property
    def focus_mixture(self) -> Mixture:
        """The base rows that `focus` mixes into each new row; the same for input and output."""
        settings = self.settings.focus
        texts = list(first_bytes(self.documents(), settings.text_bytes))
        vectors = static_vectors(
            self.tokenizer_pair().encode_new(texts),
            window=settings.window,
            min_count=settings.min_count,
            dimensions=settings.dimensions,
            seed=self.settings.seed,
        )
        return focus_mixture(vectors, self.tokens[0].id, self.base_token_ids)


def rows_by_rule(rule: Heuristic, rows: EmbeddingMatrix, context: InitialisationContext, end: End) -> Tensor:
    """Rows for new tokens, (new tokens, width) in float32, by `rule`.

    Args:
        rule: name of the rule.
        rows: base rows (base tokens, width).
        context: the new tokens and the settings.
        end: whether `rows` are input embeddings, output embeddings, or both.
    """
    if end == "both":
        if rule in _SAME_AT_BOTH_ENDS:
            return rows_by_rule(rule, rows, context, "input")
        return (rows_by_rule(rule, rows, context, "input") + rows_by_rule(rule, rows, context, "output")) / 2
    match rule:
        case "mean":
            return mean_rows(_statistics(rows, context), len(context.tokens))
        case "statistical":
            return statistical_rows(_statistics(rows, context), len(context.tokens), _generator(context, end))
        case "subword":
            return subword_rows(rows, context.base_token_ids)
        case "length_weighted":
            return length_weighted_rows(rows, context.base_token_ids, context.base_token_sizes)
        case "first_piece":
            return (
                subword_rows(rows, context.base_token_ids)
                if end == "input"
                else first_base_token_rows(rows, context.base_token_ids)
            )
        case "last_piece":
            return (
                last_base_token_rows(rows, context.base_token_ids)
                if end == "input"
                else subword_rows(rows, context.base_token_ids)
            )
        case "edges":
            return rows_by_rule("last_piece" if end == "input" else "first_piece", rows, context, end)
        case "asymmetric":
            if end == "output":
                return length_weighted_rows(rows, context.base_token_ids, context.base_token_sizes)
            return asymmetric_input_rows(rows, context.base_token_ids, _statistics(rows, context))
        case "similarity":
            weights = context.settings.similarity
            return similarity_rows(rows, context.tokens, context.neighbours, weights, end)
        case "hybrid":
            similar = rows_by_rule("similarity", rows, context, end)
            settings = context.settings.hybrid
            return hybrid_rows(similar, _statistics(rows, context), settings, _generator(context, end))
        case "focus":
            return mix(rows, context.focus_mixture)
        case _:
            assert_never(rule)


_SAME_AT_BOTH_ENDS: frozenset[Heuristic] = frozenset(
    {"mean", "statistical", "subword", "length_weighted", "focus"}
)
"""Rules that treat input and output embeddings alike."""


def _statistics(rows: EmbeddingMatrix, context: InitialisationContext) -> RowStatistics:
    return row_statistics(rows, context.used_ids)


def _generator(context: InitialisationContext, end: End) -> torch.Generator:
    """A generator of noise; input and output embeddings get different noise."""
    return torch.Generator().manual_seed(2 * context.settings.seed + (end == "output"))


def initialise_embeddings(
    weights: Weights,
    tied: bool,
    context: InitialisationContext,
    scratch: Path,
    processes: Processes,
    reporter: ProgressReporter,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The embeddings of the new tokens.

    Args:
        weights: the base.
        tied: whether input and output embeddings are one matrix.
        context: the new tokens, the settings, the text.
        scratch: where a slow rule keeps its state, also after its end: the caller removes it when the rows
            are written.
        processes: who takes part; `mapped` alone learns in several processes.
        reporter: receives progress.

    Returns:
        New rows (new tokens, width) by the name of their matrix, in the precision of the model; and what
        extension.json records about the rule.

    Raises:
        CheckpointError: the rule runs the base, which does not fit the memory.
        TrainingError: the rule learns, and has no text to learn from or gets NaN.
    """
    about: dict[str, Any] = {}
    match context.settings.init:
        case "distilled":
            rows, about = _distilled_rows(weights, tied, context, scratch, reporter)
        case "mapped":
            rows, about = _mapped_rows(weights, tied, context, scratch, processes, reporter)
        case rule:
            rows = _rows_by_rule(rule, weights, tied, context, reporter)
    return {name: new.to(weights.dtype(name)) for name, new in rows.items()}, about


def _rows_by_rule(
    rule: Heuristic,
    weights: Weights,
    tied: bool,
    context: InitialisationContext,
    reporter: ProgressReporter,
) -> dict[str, Tensor]:
    """New rows (new tokens, width) in float32 by a rule that does not run the model."""
    with reporter.task(f"new embeddings: {rule}", 1 if tied else 2, "matrices") as task:
        matrix = StoredEmbeddingMatrix(weights, INPUT_EMBEDDINGS)
        found = {INPUT_EMBEDDINGS: rows_by_rule(rule, matrix, context, "both" if tied else "input")}
        task.advance()
        if not tied:
            output = context.settings.output or rule
            found[OUTPUT_EMBEDDINGS] = rows_by_rule(
                output, StoredEmbeddingMatrix(weights, OUTPUT_EMBEDDINGS), context, "output"
            )
            task.advance()
    return found


def _mapped_rows(
    weights: Weights,
    tied: bool,
    context: InitialisationContext,
    scratch: Path,
    processes: Processes,
    reporter: ProgressReporter,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """New rows by shared linear maps of what the base knows about their base tokens."""
    names = (INPUT_EMBEDDINGS,) if tied else (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS)
    inputs = MappedInputs(
        base_tokens=context.base_token_ids,
        tokenizer_pair=context.tokenizer_pair(),
        prefix_token=context.prefix_token_id(),
        documents=context.documents,
        replay=context.replay,
        scale={
            name: row_statistics(StoredEmbeddingMatrix(weights, name), context.used_ids).rms for name in names
        },
        seed=context.settings.seed,
    )
    model = load_teacher(weights.folder)
    rows, about = mapped_rows(model, inputs, context.settings.mapped, scratch, processes, reporter)
    if not tied and context.settings.output is not None:  # a rule that is given for them is not learned over
        matrix = StoredEmbeddingMatrix(weights, OUTPUT_EMBEDDINGS)
        rows[OUTPUT_EMBEDDINGS] = rows_by_rule(context.settings.output, matrix, context, "output")
    return rows, about | _mapping_flops(weights, len(context.tokens), names, about["mapped"])


def _mapping_flops(
    weights: Weights, new: int, names: Sequence[str], about: Mapping[str, Any]
) -> dict[str, float]:
    """Operations of the evidence and the learning, for `extension.json`; nothing where uncountable."""
    shape = countable_shape(weights.folder)
    if shape is None:
        return {}
    cost = cost_of(shape, SEQUENCE_TOKENS)
    features = sum(about["features"][name] for name in names)
    learning = about.get("tokens", 0) * cost.mapping(shape.rows, new)
    updates = about.get("steps", 0) * map_update_cost(new, features, shape.hidden)
    return {"flops": about["evidence_tokens"] * cost.layers + learning + updates}


def _distilled_rows(
    weights: Weights, tied: bool, context: InitialisationContext, scratch: Path, reporter: ProgressReporter
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """New rows that are learned, starting from those of the rule `distillation.start`."""
    settings = context.settings.distillation
    start = _rows_by_rule(settings.start, weights, tied, context, reporter)
    tokenizer_pair = context.tokenizer_pair()
    first_new_id = context.tokens[0].id
    held_out = held_out_passages(context.documents(), settings, context.settings.seed)
    passages = snippets(
        context.documents(), tokenizer_pair, first_new_id, len(context.tokens), settings, reporter, held_out
    )
    replay_per_token = settings.replay_share / (1 - settings.replay_share)
    replay_tokens = round(replay_per_token * sum(len(passage.new) for passage in passages))
    passages += replay_passages(context.replay(), tokenizer_pair, replay_tokens, settings.passage_characters)
    scales = {
        name: row_statistics(StoredEmbeddingMatrix(weights, name), context.used_ids).rms for name in start
    }
    model = load_teacher(weights.folder)
    depth = depth_to_layer(settings.depth, model.config.num_hidden_layers)
    # A rule that is given for the output embeddings is not learned over.
    output_weight = 0.0 if context.settings.output and not tied else settings.output_weight
    distiller = Distiller(model, start, context.prefix_token_id(), depth, output_weight)
    rows, progress = distilled_rows(
        distiller,
        passages,
        held_out,
        tokenizer_pair.new_ids,
        scales,
        settings,
        context.settings.seed,
        scratch,
        reporter,
    )
    about = {key: value for key, value in asdict(progress).items() if key not in ("stretch", "planned")}
    about["seconds"] = round(progress.seconds, 1)
    share = depth / model.config.num_hidden_layers
    flops = _distilling_flops(weights, len(context.tokens), passages, share, bool(output_weight), progress)
    return rows, {"distillation": {"layers": depth, "passages": len(passages), **about}, **flops}


def _distilling_flops(
    weights: Weights,
    new: int,
    passages: Sequence[AlignedEncoding],
    share: float,
    outputs: bool,
    progress: DistillationProgress,
) -> dict[str, float]:
    """Operations of teacher and student, for `extension.json`; nothing where they cannot be counted.

    `share` is that of the layers in the student; `outputs` says whether output embeddings learn.
    """
    shape = countable_shape(weights.folder)
    if shape is None:
        return {}
    tokens = sum(len(passage.new) for passage in passages)
    base_tokens = sum(len(passage.base) for passage in passages)
    base, new = (shape.rows, new) if outputs else (0, 0)
    each = cost_of(shape, tokens // len(passages)).distilling(base, new, share, base_tokens / tokens)
    return {"flops": progress.tokens * each}
