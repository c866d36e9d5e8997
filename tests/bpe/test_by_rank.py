"""The fast cut of a base is the cut of its tokenizer."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe import by_rank
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.by_rank import RankCutter, cut_by_base, ranks_of
from ekle.bpe.pieces import cut

WORDS = ["Ankara'da", " evlerimizden", "görüşürüz", " Straße", "\n\n", " ", "x", "日本語", "'da", " 🙂", " é"]


@settings(max_examples=15, deadline=None)
@given(
    # No pre-token holds a special token such as <|im_end|>, which the tokenizer would not cut.
    texts=st.lists(st.text(st.characters(exclude_characters="\x00<", exclude_categories=["Cs"]), min_size=1))
)
def test_words_of_any_characters_are_cut_alike(base: BaseTokenizer, texts: list[str]) -> None:
    ranks = ranks_of(base)
    assert ranks is not None
    assert RankCutter(ranks).cut(texts + WORDS).equals(cut(base.tokenizer(), texts + WORDS))


def test_merges_out_of_the_order_of_ids_have_no_ranks(base: BaseTokenizer) -> None:
    merges = base.spec["model"]["merges"]
    shuffled = {**base.spec, "model": {**base.spec["model"], "merges": [merges[1], merges[0], *merges[2:]]}}
    assert ranks_of(replace(base, spec=shuffled)) is None


def test_a_base_that_ranks_cut_otherwise_is_cut_by_its_own_tokenizer(
    base: BaseTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = ranks_of(base)
    assert ranks is not None
    monkeypatch.setattr(by_rank, "_TOO_FEW", 0)
    monkeypatch.setattr(by_rank, "ranks_of", lambda base: {t: i for t, i in ranks.items() if len(t) == 1})
    texts = WORDS * 200
    assert cut_by_base(base, texts).equals(cut(base.tokenizer(), texts))
