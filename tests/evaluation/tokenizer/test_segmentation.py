"""Token boundaries against morpheme boundaries, with a tokenizer whose tokens are known."""

import pytest
from tiny import byte_level
from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer
from ekle.evaluation.tokenizer.segmentation import (
    boundary_scores,
    count_boundaries,
    intact_root_share,
    token_boundaries,
)
from ekle.turkish.gold import RootedWord, SegmentedWord


@pytest.fixture(scope="module")
def qwen(base: BaseTokenizer) -> Tokenizer:
    return base.tokenizer()


def test_places_are_letters_before_the_boundary(qwen: Tokenizer) -> None:
    (boundaries,) = token_boundaries(qwen, ["evlerimizden"])
    tokens = qwen.encode(" evlerimizden").tokens
    assert boundaries[0] == len(tokens[0]) - 1
    assert len(boundaries) == len(tokens) - 1


def test_a_boundary_inside_a_letter_is_halfway(qwen: Tokenizer) -> None:
    (boundaries,) = token_boundaries(qwen, ["a\U00010400"])
    assert any(place != int(place) for place in boundaries)


def test_shares_follow_from_the_boundaries(qwen: Tokenizer) -> None:
    (boundaries,) = token_boundaries(qwen, ["kitaplar"])
    places = frozenset(int(place) for place in boundaries)
    right, wrong = SegmentedWord("kitaplar", (places,)), SegmentedWord("kitaplar", (frozenset({7}),))
    found = boundary_scores(qwen, [right, wrong])
    assert found.no_wrong_boundary == 0.5
    assert boundary_scores(qwen, [right]).f1 == 1.0
    assert intact_root_share(qwen, [RootedWord("kitaplar", min(places)), RootedWord("kitaplar", 8)]) == 0.5


def read(text: str, *readings: str) -> SegmentedWord:
    """A word with its readings, such as "ev ler"."""
    places = []
    for reading in readings:
        ends = [len("".join(reading.split()[:count])) for count in range(1, len(reading.split()))]
        places.append(frozenset(ends))
    return SegmentedWord(text, tuple(places))


def test_boundaries_and_kinds_of_tokens_match_a_case_counted_by_hand() -> None:
    # ' evler' -> ' ev' 'ler'; ' evde' -> ' ev' 'd' 'e'; ' evlerde' -> ' ev' 'lerde'; ' at' -> ' at'.
    tokenizer = byte_level("e v", "Ġ ev", "l e", "le r", "d e", "ler de", "Ġ a", "Ġa t")
    words = [read("evler", "ev ler"), read("evlerde", "ev ler de"), read("at", "at"), read("evdi", "ev di")]
    boundaries = count_boundaries(tokenizer, words)
    assert boundaries.inflected.tolist() == [1, 1, 0, 1]
    assert boundaries.root_intact.tolist() == [1, 1, 0, 1]
    assert boundaries.no_wrong_boundary.tolist() == [1, 1, 1, 0]  # ev|d|i has a boundary inside -di
    assert boundaries.predicted.tolist() == [1, 1, 0, 2]
    assert boundaries.expected.tolist() == [1, 2, 0, 1]
    assert boundaries.correct.tolist() == [1, 1, 0, 1]
    assert boundaries.tokens.tolist() == [2, 2, 1, 3]
    assert boundaries.whole.tolist() == [0, 0, 1, 0]
    assert boundaries.morphemes.tolist() == [2, 1, 0, 1]  # ev|ler, ev|.., ev|d|i
    assert boundaries.chains.tolist() == [0, 1, 0, 0]  # lerde
    found = boundary_scores(tokenizer, words)
    assert (found.precision, found.recall, found.no_wrong_boundary) == (3 / 4, 3 / 4, 3 / 4)


def test_a_boundary_inside_the_root_and_a_better_reading_are_seen() -> None:
    tokenizer = byte_level("Ġ e", "v l")  # ' evl' -> ' e' 'vl'
    boundaries = count_boundaries(tokenizer, [read("evl", "ev l"), read("evl", "ev l", "e vl")])
    assert boundaries.root_intact.tolist() == [0, 1]
    assert boundaries.no_wrong_boundary.tolist() == [0, 1]
    assert (boundaries.morphemes.tolist(), boundaries.tokens.tolist()) == ([0, 2], [2, 2])


def test_words_are_summed_by_document() -> None:
    tokenizer = byte_level("e v", "Ġ ev", "l e", "le r")
    boundaries = count_boundaries(tokenizer, [read("evler", "ev ler"), read("evde", "ev de")])
    summed = boundaries.grouped([[0, 0, 1], [], [1]])
    assert summed.words.tolist() == [3, 0, 1]
    first, second = boundaries.predicted
    assert summed.predicted.tolist() == [2 * first + second, 0, second]
