"""The likeliest segmentation of words, decided by the words around them."""

from collections import Counter
from pathlib import Path

import pytest

from ekle.turkish import lexicon, reading_cache
from ekle.turkish.analysis import Analysis, analyse, stem_of

WORDS = (
    "kitap kitabı kitaplar burun burnu ağız ağzından araba arabayı su suyu kapı kapısı başla "
    "başlıyor gidiyor evinde evlerimizden kalem kalemi çocuk çocuğun göğsü geldiler Ankara'da Türkiye'nin "
    "İSTANBUL'DAN ağaç ağacı"
)


@pytest.fixture(scope="module")
def analyses() -> dict[str, Analysis]:
    return analyse(dict.fromkeys(WORDS.split(), 10), processes=1, remember=False)


@pytest.mark.parametrize(
    ("word", "parts", "lemma"),
    [
        ("kitabı", ("kitab", "ı"), "kitap"),  # p softened
        ("ağacı", ("ağac", "ı"), "ağaç"),
        ("çocuğun", ("çocuğ", "un"), "çocuk"),
        ("burnu", ("burn", "u"), "burun"),  # u dropped
        ("ağzından", ("ağz", "ı", "ndan"), "ağız"),
        ("göğsü", ("göğs", "ü"), "göğüs"),
        ("arabayı", ("araba", "yı"), "araba"),  # y between vowels
        ("suyu", ("su", "yu"), "su"),
        ("kapısı", ("kapı", "sı"), "kapı"),
        ("başlıyor", ("başl", "ıyor"), "başlamak"),  # a narrowed
        ("gidiyor", ("gid", "iyor"), "gitmek"),
        ("evlerimizden", ("ev", "ler", "imiz", "den"), "ev"),
        ("geldiler", ("gel", "di", "ler"), "gelmek"),
    ],
)
def test_a_word_is_its_root_and_its_suffixes(
    analyses: dict[str, Analysis], word: str, parts: tuple[str, ...], lemma: str
) -> None:
    assert (analyses[word].parts, analyses[word].lemma) == (parts, lemma)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("Ankara'da", ("ankara", "da")),
        ("Türkiye'nin", ("türkiye", "nin")),
        ("İSTANBUL'DAN", ("istanbul", "dan")),
    ],
)
def test_the_stem_ends_at_the_apostrophe(
    analyses: dict[str, Analysis], word: str, parts: tuple[str, ...]
) -> None:
    assert analyses[word].parts == parts
    assert stem_of(word) == parts[0]


def test_parts_joined_are_the_word(analyses: dict[str, Analysis]) -> None:
    assert all("".join(one.parts) == word for word, one in analyses.items() if "'" not in word)


def test_the_words_of_the_text_decide_between_readings() -> None:
    one = analyse({"kalemi": 10, "kalem": 50, "kalemler": 20}, processes=1, remember=False)
    other = analyse({"kalemi": 10, "kale": 500, "kaleye": 200, "kaleler": 200}, processes=1, remember=False)
    assert one["kalemi"].root == "kalem"
    assert other["kalemi"].root == "kale"


def test_a_word_that_the_lexicon_lacks_is_split_after_a_word_of_the_text() -> None:
    found = analyse({"zümkop": 50, "zümkoplar": 5, "zümkoplardan": 2}, processes=1, remember=False)
    assert found["zümkoplardan"].parts == ("zümkop", "lar", "dan")
    assert found["zümkop"].morphemes == ()


def test_words_of_other_letters_are_left_out() -> None:
    assert analyse({"wxq": 3, "naïve": 3, "ev": 3}, processes=1, remember=False).keys() == {"ev"}


def test_a_word_is_read_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()

    def counting(word: str) -> list[lexicon.Reading]:
        asked[word] += 1
        return lexicon.readings(word)

    monkeypatch.setenv("EKLE_CACHE", str(tmp_path))
    monkeypatch.setattr(reading_cache, "readings", counting)
    words = {"evler": 2, "Evler": 3, "EVLER": 1, "kitabı": 1}
    first = analyse(words, processes=1)
    second = analyse(words, processes=1)
    assert asked == {"evler": 1, "kitabı": 1}
    assert first == second


def test_a_spoilt_memory_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EKLE_CACHE", str(tmp_path))
    before = analyse({"evler": 1}, processes=1)
    (file,) = tmp_path.iterdir()
    file.write_text("no JSON", "utf-8")
    assert analyse({"evler": 1}, processes=1) == before
