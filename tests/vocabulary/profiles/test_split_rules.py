"""The split stage: the regex does what the reference implementation says, and no text is lost."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.opening import open_tokenizer
from ekle.vocabulary.profiles.split_rules import SplitRules, insert_split

RULES = SplitRules(
    whole=frozenset({"evler", "pardon", "evren"}),
    forms=frozenset({"Kitaplar"}),
    positions={"gidiyor": 3, "evrende": 5, "kalemi": 5, "kalede": 4, "ağzından": 3, "kitaplıkta": 5},
    roots={"ev": ("ne",), "kitap": ("na",), "kitaplık": ("na",), "okul": ("na",), "göz": ("ne",)},
    endings={
        "ne": frozenset({"ler", "lerde", "de", "lerimizden"}),
        "na": frozenset({"lar", "larda", "da", "ta"}),
    },
)
words = st.sampled_from(
    "evler evlerde Evlerde EVLERDE kitaplar Kitaplar kitaplarda kitaplıkta kitaplıklar gidiyor Gidiyor "
    "evrende kalemi kalede kalelerde ağzından pardon okulda okullarda dollar popular 'evlerde ’okulda é "
    "evlerdey".split()
)
writing = st.text(max_size=40) | st.lists(
    words | st.sampled_from([" ", "\n", "(", "5", "i\u0307", "'"]), max_size=12
).map("".join)


@pytest.fixture(scope="module")
def tokenizer(base: BaseTokenizer) -> Tokenizer:
    spec = {
        **base.spec,
        "pre_tokenizer": insert_split(base.spec["pre_tokenizer"], RULES.regex({"evler": 9})),
    }
    return open_tokenizer(spec)


@pytest.fixture(scope="module")
def plain(base: BaseTokenizer) -> Tokenizer:
    return base.tokenizer()


def pre_tokens_of(tokenizer: Tokenizer, text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (" evlerde", [" ev", "lerde"]),
        (" Evlerde", [" Ev", "lerde"]),
        (" evler", [" evler"]),  # whole
        (" evrende", [" evren", "de"]),  # listed, although the rule would see nothing
        (" kitaplıklar", [" kitaplık", "lar"]),  # the longest root
        (" kitaplıkta", [" kitap", "lıkta"]),  # listed in front of the rule's place
        (" kitaplar", [" kitap", "lar"]),
        (" Kitaplar", [" Kitaplar"]),  # whole as it is spelled
        (" ağzından", [" ağz", "ından"]),
        (" EVLERDE", [" EVLERDE"]),
        ("'evlerde", ["'evlerde"]),  # a suffix follows an apostrophe
        (" dollar", [" dollar"]),
    ],
)
def test_words_are_split_where_the_rules_say(tokenizer: Tokenizer, text: str, parts: list[str]) -> None:
    assert RULES.split(text) == parts
    assert pre_tokens_of(tokenizer, text) == parts


@settings(max_examples=300, deadline=None)
@given(writing)
def test_the_regex_does_what_the_reference_does(tokenizer: Tokenizer, plain: Tokenizer, text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert pre_tokens_of(tokenizer, text) == [
        part for one in pre_tokens_of(plain, text) for part in RULES.split(one)
    ]


@settings(max_examples=300, deadline=None)
@given(writing)
def test_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == unicodedata.normalize("NFC", text)


def test_no_rules_split_nothing() -> None:
    assert SplitRules().regex() == "(?!)"
    assert SplitRules().split(" evlerde") == [" evlerde"]
