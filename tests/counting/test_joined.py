"""The compact profile's pre-tokens: counted fast and exactly, and nothing but the base's, joined."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe.base import BaseTokenizer, open_tokenizer
from ekle.bpe.byte_alphabet import decode_token
from ekle.counting import Counts, count_documents
from ekle.counting.count import count_plainly
from ekle.counting.joined import pre_tokenizer
from ekle.errors import InputError
from ekle.progress import silent
from ekle.recipe.vocabulary import PreTokens

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
    ways: tuple[PreTokens, ...] = ("joined", "apostrophe")
    for way in ways:
        got = count_documents(texts, base, silent(), cut=way)
        assert dict(got.table.iter_rows()) == count_plainly(texts, base, cut=way)


@settings(max_examples=150, deadline=None)
@given(st.lists(writing, max_size=4))
def test_longer_counts_taken_apart_are_the_counts_of_the_base(base: BaseTokenizer, texts: list[str]) -> None:
    texts = [text for text in texts if text]
    plain = count_documents(texts, base, silent())
    ways: tuple[PreTokens, ...] = ("joined", "apostrophe")
    for way in ways:
        longer = count_documents(texts, base, silent(), cut=way)
        assert dict(longer.apart().table.iter_rows()) == dict(plain.table.iter_rows())
        assert longer.words == plain.words or way == "apostrophe"  # "'de" is one word there, two in the base


@settings(max_examples=600, deadline=None)
@given(writing)
def test_joining_alone_changes_no_id(base: BaseTokenizer, wide: object, text: str) -> None:
    assert wide.encode(text).ids == base.tokenizer().encode(text).ids  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def wide(base: BaseTokenizer) -> object:
    return open_tokenizer({**base.spec, "pre_tokenizer": pre_tokenizer(base)})


def test_no_token_of_the_base_spans_a_border_that_is_left_out(base: BaseTokenizer) -> None:
    spans = re.compile(r"[^\W\d_][.,;:!? ]|[.,;:!?] ")
    found = [decode_token(token).decode(errors="replace") for token in base.vocab if token not in base.added]
    assert [text for text in found if spans.search(text)] == []


def test_what_is_joined_and_what_is_not(base: BaseTokenizer) -> None:
    text = "Bunu yapmak için geldi. Bu, evler ve bahçe ya da 5 oda; dağ dedi."
    assert list(count_plainly([text], base, cut="joined")) == [
        *("Bunu", " yapmak için", " geldi. Bu,", " evler ve", " bahçe", " ya da ", "5", " oda;", " dağ"),
        " dedi.",
    ]


def test_counts_of_the_two_kinds_are_not_added(base: BaseTokenizer) -> None:
    one, two = (count_documents(["ev ve ev"], base, silent(), cut=way) for way in ("joined", "base"))
    with pytest.raises(InputError, match="one --profile"):
        Counts.add([one, two])


@pytest.mark.parametrize("cut", ["joined", "base"])
def test_the_rarest_are_forgotten_when_there_are_too_many(base: BaseTokenizer, cut: PreTokens) -> None:
    counts = count_documents(["ev " * 9 + "a b c d"], base, silent(), cut=cut, most=3)
    assert dict(counts.table.iter_rows()) == {" ev": 8}
    assert counts.forgotten == 5
