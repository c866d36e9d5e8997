"""The morphological profile: words are split after their root, by tokenizer.json alone."""

import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer
from ekle.counting import Counts, count_documents
from ekle.errors import VocabularyError
from ekle.progress import silent
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import documents
from ekle.turkish.analysis import Analysis
from ekle.vocabulary.learn import learn_vocabulary
from ekle.vocabulary.profiles.morphological import (
    ending_class,
    names_in_code,
    split_position,
    split_table,
    stem_ends,
    word_counts,
)
from ekle.vocabulary.profiles.split_rules import SplitRules

pytestmark = pytest.mark.xdist_group("morphological")

SMALL = VocabularySettings(size=200, min_count=3, languages={}, profile="morphological", keep_whole=20)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [document.text for document in documents(["bundled:tr"])]


@pytest.fixture(scope="module")
def counts(base: BaseTokenizer, texts: list[str]) -> Counts:
    return count_documents(texts, base, silent(), pre_tokenization="apostrophe")


@pytest.fixture(scope="module")
def learned(base: BaseTokenizer, counts: Counts, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return learn_vocabulary(counts, base, SMALL, tmp_path_factory.mktemp("morphological"), silent())


@pytest.fixture(scope="module")
def tokenizer(learned: Vocabulary) -> Tokenizer:
    return Tokenizer.from_file(str(learned.tokenizer / "tokenizer.json"))


def pre_tokens_of(tokenizer: Tokenizer, text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def test_words_of_the_text_are_split_after_their_root(tokenizer: Tokenizer) -> None:
    assert pre_tokens_of(tokenizer, " çocuklardan")[0] == " çocuk"
    assert pre_tokens_of(tokenizer, " dollar") == [" dollar"]


def test_every_token_comes_out_of_some_text(learned: Vocabulary) -> None:
    assert learned.report["unreachable"] == 0


def test_transformers_gives_the_same_ids(learned: Vocabulary, tokenizer: Tokenizer, texts: list[str]) -> None:
    loaded = AutoTokenizer.from_pretrained(learned.tokenizer)
    for text in texts[:40]:
        ids = loaded(text, add_special_tokens=False)["input_ids"]
        assert ids == tokenizer.encode(text, add_special_tokens=False).ids
        assert loaded.decode(ids) == unicodedata.normalize("NFC", text)


def test_a_saved_copy_keeps_the_splits(learned: Vocabulary, tmp_path: Path) -> None:
    loaded = AutoTokenizer.from_pretrained(learned.tokenizer)
    loaded.save_pretrained(tmp_path)
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert pre_tokens_of(again, " çocuklardan")[0] == " çocuk"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == unicodedata.normalize("NFC", text)


def test_a_kept_term_is_one_token(base: BaseTokenizer, counts: Counts, tmp_path: Path) -> None:
    terms = tmp_path / "terms.txt"
    terms.write_text("evlerimizden\n", "utf-8")
    (tmp_path / "out").mkdir()
    made = learn_vocabulary(
        counts, base, SMALL.model_copy(update={"keep": [str(terms)]}), tmp_path / "out", silent()
    )
    tokenizer = Tokenizer.from_file(str(made.tokenizer / "tokenizer.json"))
    assert len(tokenizer.encode(" evlerimizden").ids) == 1


def test_a_text_of_a_few_words_is_refused_in_one_line(base: BaseTokenizer, tmp_path: Path) -> None:
    few = count_documents(["Evlerimizden geldik."], base, silent(), pre_tokenization="apostrophe")
    with pytest.raises(VocabularyError, match=r"this text supports 0 tokens"):
        learn_vocabulary(few, base, SMALL, tmp_path, silent())


def test_a_text_without_turkish_words_has_no_splits(base: BaseTokenizer, tmp_path: Path) -> None:
    digits = count_documents(["12345 67890 " * 30], base, silent(), pre_tokenization="apostrophe")
    with pytest.raises(VocabularyError):
        learn_vocabulary(digits, base, SMALL, tmp_path, silent())


def test_words_are_counted_in_lower_case_and_suffixes_behind_an_apostrophe_are_none() -> None:
    table = pl.DataFrame(
        {"text": [" ev", "Ev", " EV", " wax", "5", "'nin", " naïve"], "count": [5, 2, 1, 9, 9, 3, 1]}
    )
    assert word_counts(table) == {"ev": 8}


def test_a_word_is_split_where_nearly_all_readings_have_a_boundary() -> None:
    word = Analysis("kale", "kale", "Noun", ("m", "i"), ("P1SG", "ACC"), ((4, 0.4), (5, 1.0)))
    assert split_position(word, {}) == 5
    assert split_position(Analysis("kalem", "kalem", "Noun", (), ()), {}) is None


def test_a_derived_stem_that_the_text_has_often_stays_whole() -> None:
    word = Analysis("kitap", "kitap", "Noun", ("lık", "ta"), ("NESS", "LOC"), ((5, 1.0), (8, 1.0)))
    assert [place for place, _ in stem_ends(word)] == [5, 8]
    assert split_position(word, {}) == 5
    assert split_position(word, {"kitaplık": 50}) == 8


@pytest.mark.parametrize(
    ("root", "verbal", "name"),
    [("ev", False, "nec"), ("kitap", False, "nas"), ("gül", True, "vuc"), ("oku", True, "vov")],
)
def test_roots_fall_into_classes_by_their_last_sounds(root: str, verbal: bool, name: str) -> None:
    assert ending_class(root, verbal) == name


def test_parts_of_a_table_add_up_and_know_a_word_that_has_them() -> None:
    rules = SplitRules(positions={"evler": 2, "okullar": 4})
    table = pl.DataFrame({"text": [" evler", " ev", " okullar", "ler"], "count": [5, 3, 2, 1]})
    rows = {
        row["text"]: (row["count"], row["first"], row["whole"])
        for row in split_table(table, rules).to_dicts()
    }
    assert rows == {
        " ev": (8, 5, " ev"),
        "ler": (6, 0, "ler"),
        " okul": (2, 2, " okullar"),
        "lar": (2, 0, " okullar"),
    }


def test_only_short_plain_endings_are_names_in_code() -> None:
    names = names_in_code(pl.DataFrame({"text": ["tma", " tma", "lerin", "dı", "b"]}), 8.0)
    assert names["text"].to_list() == ["tma"]
    assert names["cost"].item() == pytest.approx(8.0 * names["share"].item())
