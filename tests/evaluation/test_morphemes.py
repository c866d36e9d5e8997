"""Cuts against marked boundaries, with a tokenizer whose cuts are known."""

import pytest
from tokenizers import Tokenizer

from ekle.bpe.base import load_base
from ekle.evaluation.morphemes import agreement, root_uncut, word_cuts
from ekle.turkish.gold import RootedWord, SegmentedWord


@pytest.fixture(scope="module")
def qwen() -> Tokenizer:
    return load_base("qwen3").tokenizer()


def test_places_are_letters_before_the_cut(qwen: Tokenizer) -> None:
    (cuts,) = word_cuts(qwen, ["evlerimizden"])
    tokens = qwen.encode(" evlerimizden").tokens
    assert cuts[0] == len(tokens[0]) - 1
    assert len(cuts) == len(tokens) - 1


def test_a_cut_inside_a_letter_lies_halfway(qwen: Tokenizer) -> None:
    (cuts,) = word_cuts(qwen, ["a\U00010400"])
    assert any(place != int(place) for place in cuts)


def test_shares_follow_from_the_cuts(qwen: Tokenizer) -> None:
    (cuts,) = word_cuts(qwen, ["kitaplar"])
    places = frozenset(int(place) for place in cuts)
    right, wrong = SegmentedWord("kitaplar", (places,)), SegmentedWord("kitaplar", (frozenset({7}),))
    found = agreement(qwen, [right, wrong])
    assert found.without_wrong_cut == 0.5
    assert agreement(qwen, [right]).f1 == 1.0
    assert root_uncut(qwen, [RootedWord("kitaplar", min(places)), RootedWord("kitaplar", 8)]) == 0.5
