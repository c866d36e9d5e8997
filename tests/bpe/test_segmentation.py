"""The list of what two tokenizers segment differently, on tokenizers small enough to work by hand."""

import pytest
from tiny import byte_level
from tokenizers import AddedToken
from tokenizers.normalizers import NFC

from ekle.bpe.measure import measure_drift
from ekle.bpe.segmentation import SegmentationChange, list_changes

BASE = byte_level("e v")
EXTENDED = byte_level("e v", "l e", "le r", "ev ler")


def test_each_changed_word_stands_once_with_its_count_and_the_most_frequent_first() -> None:
    found = list_changes(BASE, EXTENDED, ["evler ve ler", "evler"])
    assert found == [
        SegmentationChange("evler", 2, ["ev", "l", "e", "r"], ["evler"], ["evler"]),
        SegmentationChange(" ler", 1, [" ", "l", "e", "r"], [" ", "ler"], ["ler"]),
    ]


def test_what_is_segmented_alike_is_not_listed() -> None:
    assert list_changes(BASE, EXTENDED, ["ev el", "ağaç"]) == []
    assert list_changes(BASE, BASE, ["evler"]) == []


def test_the_same_text_segmented_in_two_ways_is_listed_twice() -> None:
    """Where pre-tokens differ, the tokens of a text can depend on its neighbours."""
    joined = byte_level("e v", "l e", "Ġ e", regex=False)
    found = list_changes(BASE, joined, ["le le", "le"])
    assert {(change.text, change.count, tuple(change.after)) for change in found} == {
        ("le le", 1, ("le", " ", "le")),
        ("le", 1, ("le",)),
    }


def test_what_the_pre_tokenizer_changes_names_no_token() -> None:
    old = byte_level("' d", "d a")
    new = byte_level("' d", "d a", regex=False)
    found = list_changes(old, new, ["x'da"])
    assert found == []  # the merges give the same tokens
    swapped = byte_level("d a", "' d", regex=False)
    (change,) = list_changes(byte_level("d a", "' d"), swapped, ["'da"])
    assert (change.text, change.before, change.after, change.new) == ("'da", ["'d", "a"], ["'", "da"], [])


def test_half_characters_are_shown_as_bytes() -> None:
    (change,) = list_changes(byte_level(), byte_level("Ä Ł"), ["ğ"])
    assert change.before == ["\\xc4", "\\x9f"]
    assert change.text == "ğ" == change.after[0]


def test_texts_that_a_tokenizer_normalises_are_compared_whole() -> None:
    normal = byte_level("e v")
    normal.normalizer = NFC()
    (change,) = list_changes(BASE, normal, ["ev e\u0301"])
    assert change.text == "ev e\u0301" and change.after[-1] != change.before[-1]


def test_added_tokens_are_read_as_text() -> None:
    added = byte_level("e v")
    added.add_tokens([AddedToken("ağaç")])
    (change,) = list_changes(BASE, added, ["ev ağaç"])
    assert change.after[-1] == "ağaç"


@pytest.mark.parametrize("lines", [["evler ev"], ["el", "ler"], [" ", "x"]])
def test_there_are_changes_just_where_lines_drift(lines: list[str]) -> None:
    drift = measure_drift(BASE, EXTENDED, lines)
    assert bool(drift.changed) == bool(list_changes(BASE, EXTENDED, lines))
