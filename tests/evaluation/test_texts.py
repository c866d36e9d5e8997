"""Which text is read."""

import pytest

from ekle.errors import TextError
from ekle.evaluation.texts import Texts, corpus_texts, file_texts, sample_documents

DOCUMENTS = [f"Belge {number}: ağaç." for number in range(100)]


def test_a_draw_is_the_same_whatever_the_order_of_the_file():
    assert sample_documents(DOCUMENTS, 200, seed=0) == sample_documents(DOCUMENTS[::-1], 200, seed=0)
    assert sample_documents(DOCUMENTS, 200, seed=0) != sample_documents(DOCUMENTS, 200, seed=1)


def test_a_draw_has_the_bytes_asked_for():
    chosen = sample_documents(DOCUMENTS, 200, seed=0)
    assert sum(len(text.encode()) for text in chosen) == pytest.approx(200, abs=1)


def test_a_document_is_truncated_between_characters():
    assert sample_documents(["ğğğğ"], 5, seed=0) == ["ğğ"]


def test_a_small_text_is_returned_whole():
    assert sorted(sample_documents(DOCUMENTS, 10**6, seed=0)) == sorted(DOCUMENTS)


def test_a_corpus_gives_its_genres_and_its_other_languages(tiny_corpus):
    texts = corpus_texts(tiny_corpus)
    assert set(texts.held_out) == {"prose", "street"}
    assert set(texts.other) == {"english"}
    assert texts.held_out["prose"][0].startswith("Bilim insanları")


def test_names_that_stand_in_both_kinds_stay_apart():
    texts = Texts({"wiki": ["a"]}, {"wiki": ["b"], "code": ["c"]})
    assert texts.all == {"wiki": ["a"], "other: wiki": ["b"], "code": ["c"]}


def test_a_text_that_is_absent_is_named(tmp_path):
    with pytest.raises(TextError, match="nowhere"):
        file_texts({"x": tmp_path / "nowhere.txt"}, {})
