"""The measures of complexity, on sentences worked by hand."""

import numpy as np
import pytest

from ekle.turkish.complexity import Complexity, Word, frequent_words, measure, scores, split_words


def frequent(*words: str) -> dict[str, Word]:
    return frequent_words(dict.fromkeys(words, 1), share=1.0, processes=1, remember=False)


def test_words_are_letters_and_keep_what_follows_an_apostrophe() -> None:
    assert split_words("Ankara'da 3 ev, “kız’ın” 2024'te geldi.") == [
        "Ankara'da",
        "ev",
        "kız’ın",
        "te",
        "geldi",
    ]


@pytest.mark.parametrize(
    ("word", "morphemes"),
    [
        ("masa", 1),
        ("evler", 2),  # ev-ler
        ("evlerimizden", 4),  # ev-ler-imiz-den
        ("gidiyorlardı", 4),  # gid-iyor-lar-dı
        ("kalemi", 2.5),  # kalem-i, or kale-m-i
        ("Ankara'daki", 3),  # Ankara'-da-ki
        ("zqwx", 1),  # unknown
    ],
)
def test_morphemes_are_counted_over_the_readings_of_a_word(word: str, morphemes: float) -> None:
    assert frequent(word)[word].morphemes == pytest.approx(morphemes)


@pytest.mark.parametrize(
    ("word", "clauses"),
    [
        ("geldi", 0),  # finite
        ("geldiğini", 1),  # gel-diğ-i-ni: that he came
        ("gidince", 1),  # when he went; gelince may be gelin-ce, like a bride
        ("gelerek", 1),  # by coming
        ("ki", 1),
        ("diye", 1),
        ("masalarımız", 0),
        ("zqwx", 0),
    ],
)
def test_a_clause_is_seen_by_its_verb_or_its_conjunction(word: str, clauses: float) -> None:
    assert frequent(word)[word].clauses == clauses


def test_a_doubtful_form_counts_by_its_readings() -> None:
    """Gelme is *do not come* as well as *coming*."""
    assert 0 < frequent("gelme")["gelme"].clauses < 1


def test_the_frequent_words_make_up_their_share_of_the_text() -> None:
    counts = {"ev": 60, "Ev": 20, "masa": 9, "kapı": 9, "kitap": 2}
    found = frequent_words(counts, share=0.85, processes=1, remember=False)
    assert set(found) == {"ev", "Ev", "masa", "kapı"}  # masa and kapı are equally frequent
    assert set(frequent_words(counts, share=0.8, processes=1, remember=False)) == {"ev", "Ev"}
    assert frequent_words({}, processes=1, remember=False) == {}


def test_upper_case_is_turkish() -> None:
    found = frequent("ışıklar", "IŞIKLAR")
    assert found["IŞIKLAR"] == found["ışıklar"]
    assert found["IŞIKLAR"].morphemes == 2


KNOWN = {"Çocuk": Word(1, 0), "geldi": Word(2, 0), "geldiğini": Word(4, 1), "gördüm": Word(3, 0)}


def test_a_text_worked_by_hand() -> None:
    # 2 sentences; Çocuk geldi (5, 5 letters). Annemin geldiğini gördüm (7, 9, 6), Annemin not frequent.
    found = measure("Çocuk geldi. Annemin geldiğini gördüm!", KNOWN)
    assert found.morphemes == pytest.approx((1 + 2 + 4 + 3) / 4)
    assert found.letters == pytest.approx((5 + 5 + 7 + 9 + 6) / 5)
    assert found.words == pytest.approx(5 / 2)
    assert found.rare == pytest.approx(1 / 5)
    assert found.nesting == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Geldi. Gördü. Yendi.", 3),
        ("On dokuzuncu, 19. yüzyılda yaşadı.", 1),
        ("“Geldin mi?” diye sordu.", 1),
        ("Geldi… Gitti", 2),
        ("Başlık\n\nİlk cümle. İkinci cümle", 3),
        ("Saat 12.30 oldu. 2024 yılıydı.", 2),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, sentences: int) -> None:
    assert measure(text, {}).words == pytest.approx(len(split_words(text)) / sentences)


@pytest.mark.parametrize("text", ["", "123 ... !", "\n"])
def test_a_text_without_words_measures_nothing(text: str) -> None:
    assert measure(text, KNOWN) == Complexity(0, 0, 0, 0, 0)


def test_the_score_is_the_mean_of_the_five_ranks() -> None:
    texts = [
        Complexity(1, 4, 5, 0.1, 0.0),
        Complexity(2, 6, 9, 0.3, 0.2),
        Complexity(1, 5, 20, 0.2, 0.0),
    ]
    thirds = np.array([1, 3, 5]) / 6  # middles of three ranks; two that are equal share theirs
    shared = (thirds[0] + thirds[1]) / 2
    expected = [
        np.mean([shared, thirds[0], thirds[0], thirds[0], shared]),
        np.mean([thirds[2], thirds[2], thirds[1], thirds[2], thirds[2]]),
        np.mean([shared, thirds[1], thirds[2], thirds[1], shared]),
    ]
    assert scores(texts).tolist() == pytest.approx(expected)
    assert scores(texts[:1]).tolist() == [0.5]
    assert scores([]).tolist() == []


def test_a_law_is_harder_than_a_childrens_story() -> None:
    story = "Ali eve geldi. Annesi güldü. Kedi uyudu. Top nerede? Top burada. Ali topu aldı."
    law = (
        "Sözleşmenin feshedilmesinden doğabilecek zararların karşılanmasına ilişkin yükümlülüklerin yerine "
        "getirilmediğinin anlaşılması halinde mahkemeye başvurulabileceği taraflara bildirilir."
    )
    spellings = [*split_words(story), *split_words(law)]
    known = frequent_words(dict.fromkeys(spellings, 1), processes=1, remember=False)
    easy, hard = measure(story, known), measure(law, known)
    assert hard.morphemes > easy.morphemes
    assert hard.letters > easy.letters
    assert hard.words > easy.words
    assert hard.nesting > easy.nesting
    assert scores([easy, hard])[1] > scores([easy, hard])[0]
