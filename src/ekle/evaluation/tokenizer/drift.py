"""Drift: how many lines in other languages and code are tokenized differently than before."""

from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import TextDrift, Tokenized
from ekle.bpe.measure import measure_drift, new_token_ids, split_lines
from ekle.evaluation.tokenizer.savings import display_tokens
from ekle.evaluation.trust.intervals import change, share
from ekle.recipe.evaluation import EvaluationSettings

_EXAMPLES = 5
_LONGEST = 240  # characters of a line that is shown


def measure_text_drift(
    base: Tokenizer, extended: Tokenizer, texts: dict[str, list[str]], settings: EvaluationSettings
) -> dict[str, TextDrift]:
    """How many lines of each text are tokenized differently, by the name of the text."""
    new = new_token_ids(base, extended)
    figures: dict[str, TextDrift] = {}
    for name, documents in texts.items():
        lines = split_lines(documents)[: settings.drift_lines]
        drift = measure_drift(base, extended, lines)
        tokens = change(drift.tokens_after, drift.tokens_before, settings.resamples, settings.seed)
        short = [place for place in drift.changed if len(lines[place]) <= _LONGEST]
        figures[name] = TextDrift(
            lines=drift.lines,
            changed=len(drift.changed),
            share=share(len(drift.changed), drift.lines),
            tokens=tokens.value,
            token_change=tokens,
            examples=[
                Tokenized(
                    before=display_tokens(base, lines[place], new),
                    after=display_tokens(extended, lines[place], new),
                )
                for place in short[:_EXAMPLES]
            ],
        )
    return figures
