"""What protection costs, by learning once more without it, and the settings that strict protection needs."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.graft import graft
from ekle.bpe.measure import count_tokens, measure_drift
from ekle.bpe.opening import open_tokenizer
from ekle.bpe.pre_tokenizers import apostrophe_pre_tokenizer
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import TextReader
from ekle.vocabulary.constraints.protect import protected_lines
from ekle.vocabulary.selection import LearnedVocabulary, WeightedPreTokens


def protection_prices(pre_tokens: WeightedPreTokens, *, strict: bool) -> npt.NDArray[np.float64]:
    """The cost of changing each pre-token, in tokens; without `strict`, no file is protected strictly."""
    return np.where(pre_tokens.never, np.inf, pre_tokens.cost) if strict else pre_tokens.cost


def settings_for_strict_protection(
    settings: VocabularySettings, base: BaseTokenizer, reader: TextReader
) -> VocabularySettings:
    """`settings`, with the base's own pre-tokenizer if no other leaves every protected line unchanged.

    Without contractions the pre-tokenizer splits a few lines differently ("'there" at the start of a line).
    """
    changed = apostrophe_pre_tokenizer(base)
    if not settings.protect_strict or settings.pre_tokenization != "apostrophe" or changed is None:
        return settings
    empty = open_tokenizer(graft(base, [], changed)[0])
    for file in settings.protect:
        lines = protected_lines(file, reader)
        if lines and measure_drift(base.tokenizer(), empty, lines).changed:
            return settings.model_copy(update={"contractions": True})
    return settings


def protection_cost(
    learned: LearnedVocabulary, without: LearnedVocabulary, held_out: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Tokens of the learning text and of all held-out text, with protection and without.

    Returns:
        `learning_text` and, where there is some, `held_out`: `tokens_base`, `tokens`, `tokens_without`,
        `saved`, `saved_without` and `costs`, the difference of the two shares.
    """
    found = {"learning_text": _compared(learned.tokens_before, learned.tokens_after, without.tokens_after)}
    texts = [text for genre in held_out.values() for text in genre]
    if texts:
        tokenizers = (learned.base.tokenizer(), learned.tokenizer, without.tokenizer)
        found["held_out"] = _compared(*(int(count_tokens(each, texts).tokens.sum()) for each in tokenizers))
    return found


def _compared(base: int, tokens: int, without: int) -> dict[str, float]:
    return {
        "tokens_base": base,
        "tokens": tokens,
        "tokens_without": without,
        "saved": 1 - tokens / base,
        "saved_without": 1 - without / base,
        "costs": (tokens - without) / base,
    }
