"""Words whose morphemes people marked, in the formats that such lists come in."""

from pathlib import Path

import pytest

from ekle.errors import TextError
from ekle.text.formats import has_ending
from ekle.turkish.gold import (
    RootedWord,
    SegmentedWord,
    read_gold,
    read_segmentations,
    read_treebank,
    root_length,
)

COMMON = Path(__file__).parents[2] / "benchmarks" / "inflected_words.tsv"


def test_readings_stand_between_bars(tmp_path: Path) -> None:
    file = tmp_path / "words.tsv"
    file.write_text("# mine\nword\tmorphemes\nevinde\tev i nde|ev in de\n", "utf-8")
    (word,) = read_segmentations(file)
    assert word == SegmentedWord("evinde", (frozenset({2, 3}), frozenset({2, 4})))
    assert word.allowed == {2, 3, 4}


def test_the_form_of_morpho_challenge_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "words.tsv"
    file.write_text("kitabın\tkitab ın\tkitab +GEN\t||\tkitab ı n\tkitab +A +B\n", "utf-8")
    assert read_segmentations(file)[0].readings == (frozenset({5}), frozenset({5, 6}))


def test_morphemes_that_do_not_spell_the_word_are_named(tmp_path: Path) -> None:
    file = tmp_path / "words.tsv"
    file.write_text("ev\tev\nevde\tev da\n", "utf-8")
    with pytest.raises(TextError, match=r"words.tsv:2: 'ev da' does not spell 'evde'; .*\.conllu"):
        read_segmentations(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="absent"):
        read_treebank(tmp_path / "absent.conllu")


@pytest.mark.parametrize("name", ["tree.conllu", "TREE.CONLLU", "tree.gold", "words.tsv"])
def test_gold_that_is_no_utf8_is_named_and_a_byte_order_mark_is_no_letter(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    lines = {
        "conllu": "1\tevde\tev" + "\t_" * 7,
        "gold": "evde\tev+Noun+A3sg",
        "tsv": "evde\tev de",
    }
    kind = next(kind for kind in lines if has_ending(file, kind))
    file.write_text(f"\ufeff{lines[kind]}\n", "utf-8")
    assert [word.text for word in read_gold(file)] == ["evde"]
    file.write_bytes(b"h\xfczn\n")
    with pytest.raises(TextError, match="not UTF-8 at byte 1"):
        read_gold(file)


def test_a_range_of_words_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tree.conllu"
    file.write_text("x-y\tevde\tev" + "\t_" * 7, "utf-8")
    with pytest.raises(TextError, match=r"tree\.conllu:1: 'x-y' is no range"):
        read_gold(file)


def test_a_treebank_gives_roots_of_inflected_words_and_of_words_it_splits(tmp_path: Path) -> None:
    rows = [
        ("1", "Kitabı", "kitap"),
        ("2", "ev", "ev"),
        ("3-4", "yoktu", "_"),
        ("3", "yok", "yok"),
        ("4", "tu", "i"),
        ("5", "2010'da", "2010"),
    ]
    file = tmp_path / "tree.conllu"
    text = "".join("\t".join([*row, *"_" * 7]) + "\n" for row in rows)
    file.write_text(f"# text = x\n{text}\n", "utf-8")
    assert read_treebank(file) == [RootedWord("Kitabı", 5), RootedWord("yoktu", 3)]


@pytest.mark.parametrize(
    ("word", "lemma", "length"),
    [
        ("evde", "ev", 2),
        ("kitabı", "kitap", 5),
        ("rengi", "renk", 4),
        ("burnu", "burun", 4),
        ("başlıyor", "başla", 4),
        ("bana", "ben", None),
    ],
)
def test_the_root_as_it_stands_in_the_word(word: str, lemma: str, length: int | None) -> None:
    assert root_length(word, lemma) == length


def test_our_own_list_holds_over_three_hundred_words_once_each() -> None:
    words = [word.text for word in read_segmentations(COMMON)]
    assert len(words) == len(set(words)) >= 300
