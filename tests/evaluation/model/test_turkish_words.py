"""What the analyser accepts, and what breaks harmony, word by word."""

import pytest

from ekle.artifacts.evaluation_report import Figure, TokenHarmony, WordShares
from ekle.evaluation.model.turkish_words import (
    judge_word,
    lexicon_segmentations,
    measure_harmony,
    measure_words,
    words_of,
)


@pytest.mark.parametrize(
    ("word", "accepted", "verdict"),
    [
        ("evlerimizden", True, "harmonic"),
        ("Kitaplardan", True, "harmonic"),
        ("kitap", True, "none"),  # the inside of a root is free
        ("saatler", True, "exception"),  # a loan that is heard with front vowels
        ("kitaplerden", False, "violation"),
        ("evlerdan", False, "violation"),
        ("geliyorüm", False, "violation"),
        ("Almagest", False, "none"),  # a foreign name is neither
        ("zzkwq", False, "none"),
        ("Ankara'da", True, "none"),  # what stands before the apostrophe
        ("a" * 60, False, "none"),
    ],
)
def test_a_word_is_judged_by_its_readings(word: str, accepted: bool, verdict: str) -> None:
    assert judge_word(word) == (accepted, verdict)


def test_words_are_letters_and_foreign_letters_make_none() -> None:
    assert words_of("Ankara'da 3 kedi, exquisite; wagon x1 ağaç-ev") == ["Ankara'da", "kedi", "ağaç", "ev"]


def test_shares_match_a_case_counted_by_hand() -> None:
    texts = [["evler", "kitaplerden", "zzk"], [], ["evlerde"]]
    found = measure_words(texts, 20, 0)
    assert (found.words, found.different, found.judged) == (4, 4, 3)
    assert found.accepted == Figure(value=2 / 4)  # too few texts for an interval
    assert found.harmony.value == pytest.approx(2 / 3) and found.harmony.low is None
    many = measure_words([["evler"], ["zzk"]] * 10, 50, 0)
    assert many.accepted.low < 0.5 < many.accepted.high


def test_a_share_of_nothing_is_absent() -> None:
    assert measure_words([[]], 20, 0) == WordShares(words=0, different=0, judged=0)
    assert measure_harmony(["123", " the quick"]) == TokenHarmony(tokens=0, judged=0)


def test_tokens_are_words_behind_a_space_and_chains_of_suffixes_elsewhere() -> None:
    found = measure_harmony([" evler", "larından", "larınden", " kitaplerden", "lar", "xyz", " gelec"])
    assert found.tokens == 6  # x is no Turkish letter
    assert found.judged == 4  # one vowel, and the beginning of a word, say nothing
    assert found.harmony.value == 2 / 4


def test_boundaries_come_from_every_reading() -> None:
    read = lexicon_segmentations(["Evlerde", "Almagest", "kalemi"])
    assert set(read) == {"Evlerde", "kalemi"}
    assert frozenset({2, 5}) in read["Evlerde"].readings
    assert {frozenset({5}), frozenset({4, 5})} <= set(read["kalemi"].readings)
