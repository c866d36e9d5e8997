"""Counting is fast, and exact."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe.base import BaseTokenizer
from ekle.counting import Counts, count_documents
from ekle.counting.count import count_plainly
from ekle.counting.wordlist import count_word_list
from ekle.errors import InputError, TextError
from ekle.progress import silent

WRITING = st.text(alphabet=st.sampled_from("aıİşğ \t\n'.,;9x\u0307\u00e9-—\u3000"), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(WRITING, max_size=4))
def test_counts_are_those_of_the_pre_tokenizer_itself(base: BaseTokenizer, texts: list[str]) -> None:
    texts = [text for text in texts if text]
    got = dict(count_documents(texts, base, silent()).table.iter_rows())
    assert got == count_plainly(texts, base)


def test_counts_survive_the_disk_and_add_up(base: BaseTokenizer, tmp_path: Path) -> None:
    one = count_documents(["ev ev ağaç"], base, silent())
    one.save(tmp_path / "one.parquet")
    both = Counts.add([Counts.load(tmp_path / "one.parquet"), one])
    assert dict(both.table.iter_rows()) == {"ev": 2, " ev": 2, " ağaç": 2}
    assert (both.documents, both.words) == (2, 6)


def test_counts_of_another_base_are_refused_and_both_are_named(base: BaseTokenizer) -> None:
    one = count_documents(["ev"], base, silent())
    with pytest.raises(InputError, match=f"{one.base} and other|other and {one.base}"):
        Counts.add([one, Counts(one.table, "other", 1, 2)])


def test_a_file_that_is_no_counts_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no", "utf-8")
    with pytest.raises(InputError, match="no pre-token counts"):
        Counts.load(tmp_path / "x.parquet")


def test_a_word_list_counts_its_words_after_a_space(base: BaseTokenizer) -> None:
    counts = count_word_list("tr", 1_000_000, base, size="small")
    table = dict(counts.table.iter_rows())
    assert table[" için"] > table[" İçin"] > 0
    assert table[" ve"] > table[" için"]


def test_a_language_without_a_list_is_refused(base: BaseTokenizer) -> None:
    with pytest.raises(TextError, match="no list"):
        count_word_list("xx", 1, base)
