"""Why a word still takes many tokens, by its letters and a lexicon."""

from dataclasses import asdict

from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import ExpensiveWord
from ekle.bpe.segmentation import ChangedWord
from ekle.turkish.analysis import stem_of
from ekle.turkish.lexicon import readings


def explain(extended: Tokenizer, word: ChangedWord) -> ExpensiveWord:
    """The first reason that holds why `word` does not take fewer tokens.

    Returns:
        The word with `why` and its details; see `ExpensiveWord`. A word that is one token has no reason.
    """
    plain = asdict(word)
    if len(word.after) < 2:
        return ExpensiveWord(**plain)
    pre_tokens = _pre_tokens(extended, word.word)
    if len(pre_tokens) > 1:
        return ExpensiveWord(**plain, why="pre_tokenizer", pre_tokens=pre_tokens)
    found = readings(stem_of(word.word))
    if not found:
        return ExpensiveWord(**plain, why="unknown")
    # The longest root that is one token explains most; if there is none, the longest root.
    written = [reading for reading in found if _is_token(extended, word.word[: len(reading.root)])]
    lower = [reading for reading in found if _is_token(extended, reading.root)]
    best = max(written or lower or found, key=lambda reading: len(reading.root))
    return ExpensiveWord(
        **plain,
        why="suffixes" if written else "capital" if lower else "root",
        root=best.root,
        suffixes=[morpheme for morpheme in best.morphemes if morpheme],
    )


def _is_token(tokenizer: Tokenizer, root: str) -> bool:
    return len(tokenizer.encode_batch_fast([f" {root}"], add_special_tokens=False)[0]) == 1


def _pre_tokens(tokenizer: Tokenizer, word: str) -> list[str]:
    """The pre-tokens of a word, without the space before it."""
    if tokenizer.pre_tokenizer is None:
        return [word]
    spelled = f" {word}"
    segments = tokenizer.pre_tokenizer.pre_tokenize_str(spelled)
    return [pre_token for _, (start, end) in segments if (pre_token := spelled[start:end].strip())]
