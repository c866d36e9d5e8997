"""Bits per byte of one model on each text, and of the models against each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ekle.evaluation.names import ALL_HELD_OUT
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.trust.intervals import change, ratio
from ekle.model.scoring.bits_per_byte import Likelihood, measure_documents, total
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings

Losses = dict[str, dict[str, list[Any]]]
"""By text: `nats`, `tokens` and `bytes`, one entry a document."""


def measure_losses(
    model: Any,
    tokenizer: Any,
    texts: Mapping[str, list[str]],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> Losses:
    """Let the model read a draw of each text; the same draw for every model.

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
            losses[name] = {
                "nats": [part.nats for part in parts],
                "tokens": [part.tokens for part in parts],
                "bytes": [part.bytes for part in parts],
            }
            task.advance(1, name)
    return losses


def compare_losses(
    losses: Mapping[str, Losses], held_out: list[str], settings: EvaluationSettings
) -> dict[str, Any]:
    """Bits per byte of each model on each text, and the change from the first model.

    Args:
        losses: by model; the first is what the others are held against.
        held_out: names of the texts in the language to learn; they are also taken together.
        settings: for the intervals.

    Returns:
        By model, by text: `bits_per_byte`; `change` from the first model, paired by document;
        `loss_per_token` and `perplexity`, which do not compare across tokenizers; `tokens`, `bytes`,
        `documents`.
    """
    figures: dict[str, Any] = {}
    first: Losses | None = None
    for model, by_text in losses.items():
        parts = {ALL_HELD_OUT: _together(by_text, held_out), **by_text} if held_out else by_text
        first = first or parts
        figures[model] = {}
        for name, part in parts.items():
            whole = total(
                Likelihood(*entry, documents=1)
                for entry in zip(part["nats"], part["tokens"], part["bytes"], strict=True)
            )
            figures[model][name] = {
                "bits_per_byte": ratio(
                    part["nats"], part["bytes"], settings.resamples, settings.seed, scale=1 / np.log(2)
                ),
                "loss_per_token": whole.loss_per_token,
                "tokens": whole.tokens,
                "bytes": whole.bytes,
                "documents": whole.documents,
            }
            if np.isfinite(whole.perplexity):
                figures[model][name]["perplexity"] = whole.perplexity
            if parts is not first:
                figures[model][name]["change"] = change(
                    part["nats"], first[name]["nats"], settings.resamples, settings.seed
                )
    return figures


def _together(losses: Losses, names: list[str]) -> dict[str, list[Any]]:
    return {
        key: [entry for name in names for entry in losses[name][key]] for key in ("nats", "tokens", "bytes")
    }
