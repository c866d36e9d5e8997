"""Tokenizers that are measured beside the extended one, against the same base on the same text."""

from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer

from ekle.bpe.measure import TokenCounts, count_tokens, measure_drift, split_lines
from ekle.bpe.segmentation import is_byte_level
from ekle.evaluation.texts import Texts
from ekle.evaluation.tokenizer.savings import averages, pooled, tokenizer_speeds
from ekle.evaluation.trust.intervals import saved, share
from ekle.recipe.evaluation import EvaluationSettings


def measure_peers(
    base: Tokenizer, others: Mapping[str, Tokenizer], texts: Texts, settings: EvaluationSettings
) -> dict[str, Any]:
    """Token figures of each of `others`, held against the base.

    Returns:
        By name: `vocabulary` (its tokens); where there is held-out text `by_text` and `together` (`tokens`,
        `bytes_per_token`, `tokens_per_word`, `saved`), `speed` and `decoding` as `savings.tokenizer_speeds`
        gives them; where there is other text `drift`, the share of the lines that change, absent where the
        two spell their tokens differently.
    """
    before = {name: count_tokens(base, documents) for name, documents in texts.held_out.items()}
    figures: dict[str, Any] = {}
    for name, tokenizer in others.items():
        figures[name] = {"vocabulary": tokenizer.get_vocab_size()}
        if before:
            figures[name] |= _savings(base, tokenizer, before, texts, settings)
        if texts.other and is_byte_level(base) and is_byte_level(tokenizer):
            figures[name]["drift"] = _drift(base, tokenizer, texts, settings)
    return figures


def _savings(
    base: Tokenizer,
    tokenizer: Tokenizer,
    before: Mapping[str, TokenCounts],
    texts: Texts,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    after = {name: count_tokens(tokenizer, documents) for name, documents in texts.held_out.items()}

    def against(old: TokenCounts, new: TokenCounts) -> dict[str, Any]:
        return {**averages(new), "saved": saved(new.tokens, old.tokens, settings.resamples, settings.seed)}

    everything = [document for documents in texts.held_out.values() for document in documents]
    return {
        "by_text": {name: against(before[name], after[name]) for name in before},
        "together": against(pooled(list(before.values())), pooled(list(after.values()))),
        **tokenizer_speeds(base, tokenizer, everything, settings),
    }


def _drift(
    base: Tokenizer, tokenizer: Tokenizer, texts: Texts, settings: EvaluationSettings
) -> dict[str, Any]:
    shares = {}
    for name, documents in texts.other.items():
        drift = measure_drift(base, tokenizer, split_lines(documents)[: settings.drift_lines])
        shares[name] = share(len(drift.changed), drift.lines)
    return shares
