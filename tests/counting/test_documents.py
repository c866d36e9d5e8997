"""Counting is fast, and exact; the compact profile's pre-tokens are nothing but the base's, joined."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.opening import open_tokenizer
from ekle.counting import Counts, count_documents
from ekle.counting.documents import compact_pre_tokenizer, count_reference
from ekle.counting.word_lists import count_word_list
from ekle.errors import InputError, TextError
from ekle.progress import silent
from ekle.recipe.vocabulary import PreTokenizationKind

WRITING = st.text(alphabet=st.sampled_from("aıİşğ \t\n'.,;9x\u0307\u00e9-—\u3000"), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(WRITING, max_size=4))
def test_counts_are_those_of_the_pre_tokenizer_itself(base: BaseTokenizer, texts: list[str]) -> None:
    texts = [text for text in texts if text]
    got = dict(count_documents(texts, base, silent()).table.iter_rows())
    assert got == count_reference(texts, base)


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


PIECES = (
    *(" ve", " ve", " bir", " o", " o", " da", " dağ", " Bu", " Bundan", ", ", ". ", "; ", ": ", "ev", "Şu"),
    *(
        "'s",
        "'de",
        "'",
        " ",
        "  ",
        "\n",
        "\t",
        "5",
        " 5",
        "9.",
        ")",
        "(",
        "!?",
        "i\u0307",
        "\u0301",
        "\u212b",
    ),
    *("\u037e", "é", "\u3000", "-", "\x01", "ve", "²", "'ſ", "Bu", ".", "ﬆ", "\u0958", "漢"),
)
writing = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=20).map(
    lambda text: text.replace("\x00", "")
)


@settings(max_examples=150, deadline=None)
@given(st.lists(writing, max_size=4))
def test_longer_counts_are_those_of_the_pre_tokenizer_itself(base: BaseTokenizer, texts: list[str]) -> None:
    texts = [text for text in texts if text]
    ways: tuple[PreTokenizationKind, ...] = ("joined", "apostrophe")
    for way in ways:
        got = count_documents(texts, base, silent(), pre_tokenization=way)
        assert dict(got.table.iter_rows()) == count_reference(texts, base, pre_tokenization=way)


@settings(max_examples=150, deadline=None)
@given(st.lists(writing, max_size=4))
def test_longer_counts_taken_apart_are_the_counts_of_the_base(base: BaseTokenizer, texts: list[str]) -> None:
    texts = [text for text in texts if text]
    plain = count_documents(texts, base, silent())
    ways: tuple[PreTokenizationKind, ...] = ("joined", "apostrophe")
    for way in ways:
        longer = count_documents(texts, base, silent(), pre_tokenization=way)
        assert dict(longer.to_base().table.iter_rows()) == dict(plain.table.iter_rows())
        assert longer.words == plain.words or way == "apostrophe"  # "'de" is one word there, two in the base


@settings(max_examples=600, deadline=None)
@given(writing)
def test_joining_alone_changes_no_id(base: BaseTokenizer, wide: object, text: str) -> None:
    assert wide.encode(text).ids == base.tokenizer().encode(text).ids  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def wide(base: BaseTokenizer) -> object:
    return open_tokenizer({**base.spec, "pre_tokenizer": compact_pre_tokenizer(base)})


def test_no_token_of_the_base_spans_a_boundary_that_is_left_out(base: BaseTokenizer) -> None:
    spans = re.compile(r"[^\W\d_][.,;:!? ]|[.,;:!?] ")
    found = [decode_token(token).decode(errors="replace") for token in base.vocab if token not in base.added]
    assert [text for text in found if spans.search(text)] == []


def test_what_is_joined_and_what_is_not(base: BaseTokenizer) -> None:
    text = "Bunu yapmak için geldi. Bu, evler ve bahçe ya da 5 oda; dağ dedi."
    assert list(count_reference([text], base, pre_tokenization="joined")) == [
        *("Bunu", " yapmak için", " geldi. Bu,", " evler ve", " bahçe", " ya da ", "5", " oda;", " dağ"),
        " dedi.",
    ]


def test_counts_of_the_two_kinds_are_not_added(base: BaseTokenizer) -> None:
    one, two = (
        count_documents(["ev ve ev"], base, silent(), pre_tokenization=way) for way in ("joined", "base")
    )
    with pytest.raises(InputError, match="one --profile"):
        Counts.add([one, two])


@pytest.mark.parametrize("pre_tokenization", ["joined", "base"])
def test_the_rarest_are_forgotten_when_there_are_too_many(
    base: BaseTokenizer, pre_tokenization: PreTokenizationKind
) -> None:
    counts = count_documents(
        ["ev " * 9 + "a b c d"], base, silent(), pre_tokenization=pre_tokenization, most=3
    )
    assert dict(counts.table.iter_rows()) == {" ev": 8}
    assert counts.forgotten == 5
