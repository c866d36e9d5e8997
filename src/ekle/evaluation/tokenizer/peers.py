"""Peers: other tokenizers, compared with the same base on the same text."""

from collections.abc import Mapping
from typing import TypedDict

from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import Figure, Peer, PeerSavings, TokenizerSpeed
from ekle.bpe.measure import TokenCounts, count_tokens, measure_drift, split_lines
from ekle.bpe.segmentation import is_byte_level
from ekle.evaluation.texts import Texts
from ekle.evaluation.tokenizer.savings import averages, pooled, tokenizer_speeds
from ekle.evaluation.trust.intervals import saved, share
from ekle.recipe.evaluation import EvaluationSettings


def measure_peers(
    base: Tokenizer, others: Mapping[str, Tokenizer], texts: Texts, settings: EvaluationSettings
) -> dict[str, Peer]:
    """Token figures of each of `others`, compared with the base, by name.

    Without held-out text there are no savings and no speed. There is no drift without other text, or where
    the two tokenizers spell their tokens differently.
    """
    before = {name: count_tokens(base, documents) for name, documents in texts.held_out.items()}
    figures: dict[str, Peer] = {}
    for name, tokenizer in others.items():
        savings = _savings(base, tokenizer, before, texts, settings) if before else {}
        alike = is_byte_level(base) and is_byte_level(tokenizer)
        drift = _drift(base, tokenizer, texts, settings) if texts.other and alike else None
        figures[name] = Peer(vocabulary=tokenizer.get_vocab_size(), **savings, drift=drift)
    return figures


class _Savings(TypedDict, total=False):
    """The figures of a `Peer` that need held-out text."""

    by_text: dict[str, PeerSavings]
    all_held_out: PeerSavings
    speed: TokenizerSpeed
    decoding: TokenizerSpeed


def _savings(
    base: Tokenizer,
    tokenizer: Tokenizer,
    before: Mapping[str, TokenCounts],
    texts: Texts,
    settings: EvaluationSettings,
) -> _Savings:
    after = {name: count_tokens(tokenizer, documents) for name, documents in texts.held_out.items()}

    def against(old: TokenCounts, new: TokenCounts) -> PeerSavings:
        share = saved(new.tokens, old.tokens, settings.resamples, settings.seed)
        return PeerSavings(**averages(new).dump(), saved=share)

    everything = [document for documents in texts.held_out.values() for document in documents]
    encoding, decoding = tokenizer_speeds(base, tokenizer, everything, settings)
    return {
        "by_text": {name: against(before[name], after[name]) for name in before},
        "all_held_out": against(pooled(list(before.values())), pooled(list(after.values()))),
        "speed": encoding,
        "decoding": decoding,
    }


def _drift(
    base: Tokenizer, tokenizer: Tokenizer, texts: Texts, settings: EvaluationSettings
) -> dict[str, Figure]:
    shares = {}
    for name, documents in texts.other.items():
        drift = measure_drift(base, tokenizer, split_lines(documents)[: settings.drift_lines])
        shares[name] = share(len(drift.changed), drift.lines)
    return shares
