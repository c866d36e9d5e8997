"""Why a word still costs many tokens."""

import pytest
from tiny import byte_level

from ekle.bpe.segmentation import ChangedWord
from ekle.evaluation.tokenizer.expensive_words import explain

# Tokens: " ev" and "ler"; nothing else is longer than a byte.
TOKENIZER = byte_level("Ġ e", "Ġe v", "l e", "le r")


def said(text):
    after = list(TOKENIZER.encode(f" {text}").tokens)
    found = explain(TOKENIZER, ChangedWord(text, 2, after, after)).dump()
    assert [found.pop(key) for key in ("word", "count", "before", "after")] == [text, 2, after, after]
    return found


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("evler", {"why": "suffixes", "root": "ev", "suffixes": ["ler"]}),
        ("Evler", {"why": "capital", "root": "ev", "suffixes": ["ler"]}),
        ("Kitaplar", {"why": "root", "root": "kitap", "suffixes": ["lar"]}),
        ("kitap", {"why": "root", "root": "kitap", "suffixes": []}),
        ("Blorgazk", {"why": "unknown"}),
        ("ev", {}),
    ],
)
def test_a_word_that_costs_much_says_why(word, expected):
    assert said(word) == expected


def test_what_the_pre_tokenizer_splits_is_the_first_reason():
    """No token crosses such a cut, whatever the vocabulary."""
    assert said("Gelibolu'da") == {"why": "pre_tokenizer", "pre_tokens": ["Gelibolu", "'d", "a"]}


def test_a_tokenizer_without_pre_tokenizer_splits_nothing_before():
    whole = byte_level("Ġ e", "Ġe v")
    whole.pre_tokenizer = None
    assert explain(whole, ChangedWord("Blorgazk", 2, ["a", "b"], ["a", "b"])).why == "unknown"
