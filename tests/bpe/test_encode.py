"""Encoding with a base by ranks gives what its tokenizer gives."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe import encode
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.encode import RankEncoder, encode_pre_tokens, encode_with_base, merge_ranks

WORDS = ["Ankara'da", " evlerimizden", "görüşürüz", " Straße", "\n\n", " ", "x", "日本語", "'da", " 🙂", " é"]


@pytest.fixture(scope="module")
def encoder(base: BaseTokenizer) -> RankEncoder:
    ranks = merge_ranks(base)
    assert ranks is not None
    return RankEncoder(ranks)


@settings(max_examples=15, deadline=None)
@given(
    # No pre-token holds a special token such as <|im_end|>, which the tokenizer would not split.
    texts=st.lists(st.text(st.characters(exclude_characters="\x00<", exclude_categories=["Cs"]), min_size=1))
)
def test_words_of_any_characters_are_encoded_alike(
    base: BaseTokenizer, encoder: RankEncoder, texts: list[str]
) -> None:
    assert encoder.encode_pre_tokens(texts + WORDS).equals(encode_pre_tokens(base.tokenizer(), texts + WORDS))


def test_merges_out_of_the_order_of_ids_have_no_ranks(base: BaseTokenizer) -> None:
    merges = base.spec["model"]["merges"]
    shuffled = {**base.spec, "model": {**base.spec["model"], "merges": [merges[1], merges[0], *merges[2:]]}}
    assert merge_ranks(replace(base, spec=shuffled)) is None


def test_a_base_whose_ranks_encode_otherwise_is_left_to_its_own_tokenizer(
    base: BaseTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = merge_ranks(base)
    assert ranks is not None
    monkeypatch.setattr(encode, "merge_ranks", lambda base: {t: i for t, i in ranks.items() if len(t) == 1})
    texts = WORDS * (20_000 // len(WORDS))  # ranks are not built for a few
    assert encode_with_base(base, texts).equals(encode_pre_tokens(base.tokenizer(), texts))
