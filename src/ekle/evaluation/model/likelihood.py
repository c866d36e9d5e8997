"""Bits per byte of each model on each text, and the change from the first model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ekle.artifacts.evaluation_report import ALL_HELD_OUT, TextLikelihood
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.trust.intervals import change, ratio
from ekle.model.scoring.bits_per_byte import Likelihood, measure_documents, total
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings


@dataclass(frozen=True)
class TextLosses:
    """What a model needs for a text, one entry per document."""

    nats: list[float]
    tokens: list[int]
    bytes: list[int]


Losses = dict[str, TextLosses]
"""By text."""


def measure_losses(
    model: Any,
    tokenizer: Any,
    texts: Mapping[str, list[str]],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> Losses:
    """Let the model read a sample of each text; the sample is the same for every model.

    Raises:
        CheckpointError: the model and the tokenizer do not belong together, or the model is broken.
    """
    losses: Losses = {}
    with reporter.task("bits per byte", total=len(texts), unit="texts") as task:
        for name, documents in texts.items():
            parts = measure_documents(
                model,
                tokenizer,
                sample_documents(documents, settings.bytes_per_text, settings.seed),
                context=settings.context,
                batch_size=settings.batch_size,
            )
            losses[name] = TextLosses(
                [part.nats for part in parts], [part.tokens for part in parts], [part.bytes for part in parts]
            )
            task.advance(1, name)
    return losses


def compare_losses(
    losses: Mapping[str, Losses], held_out: list[str], settings: EvaluationSettings
) -> dict[str, dict[str, TextLikelihood]]:
    """Bits per byte of each model on each text, and the change from the first model.

    Args:
        losses: by model; the others are compared with the first.
        held_out: names of the texts in the language to learn; they are also measured as one text.
        settings: for the intervals.

    Returns:
        By model, by text.
    """
    figures: dict[str, dict[str, TextLikelihood]] = {}
    first: Losses | None = None
    for model, by_text in losses.items():
        parts = {ALL_HELD_OUT: _pooled(by_text, held_out), **by_text} if held_out else by_text
        first = first or parts
        figures[model] = {}
        for name, part in parts.items():
            whole = total(
                Likelihood(*entry, documents=1)
                for entry in zip(part.nats, part.tokens, part.bytes, strict=True)
            )
            bits = ratio(part.nats, part.bytes, settings.resamples, settings.seed, scale=1 / np.log(2))
            figures[model][name] = TextLikelihood(
                bits_per_byte=bits,
                loss_per_token=whole.loss_per_token,
                tokens=whole.tokens,
                bytes=whole.bytes,
                documents=whole.documents,
                perplexity=whole.perplexity if np.isfinite(whole.perplexity) else None,
                change=None
                if parts is first
                else change(part.nats, first[name].nats, settings.resamples, settings.seed),
            )
    return figures


def _pooled(losses: Losses, names: list[str]) -> TextLosses:
    parts = [losses[name] for name in names]
    return TextLosses(
        [nats for part in parts for nats in part.nats],
        [tokens for part in parts for tokens in part.tokens],
        [size for part in parts for size in part.bytes],
    )
