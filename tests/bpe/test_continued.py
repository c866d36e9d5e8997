"""Continued BPE over arrays gives the merges of the plain version, and the tokenizer reaches each."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe.continued import learn_merges, learn_plainly
from ekle.bpe.pieces import Pieces, cut

ALPHABET = [b"a", b"b", b"c", b"d"]
texts = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.integers(1, 5)), min_size=1, max_size=12
)


def pieces_of(cuts: list[list[int]]) -> Pieces:
    return Pieces(np.array([i for c in cuts for i in c], dtype=np.int32), np.array([len(c) for c in cuts]))


@settings(max_examples=300, deadline=None)
@given(texts)
def test_the_fast_path_learns_what_the_plain_one_learns(rows: list[tuple[list[int], int]]) -> None:
    cuts, weights = [row for row, _ in rows], [weight for _, weight in rows]
    fast = learn_merges(pieces_of(cuts), np.array(weights), ALPHABET, size=6)
    assert [(merge.left, merge.right) for merge in fast] == learn_plainly(cuts, weights, ALPHABET, size=6)


def test_the_most_frequent_pair_comes_first_and_its_count_is_what_it_saves() -> None:
    merges = learn_merges(pieces_of([[0, 1, 2], [0, 1], [2, 3]]), np.array([3, 4, 5]), ALPHABET, size=1)
    assert (merges[0].token, merges[0].count) == (b"ab", 7)


def test_rare_pairs_are_left_alone() -> None:
    assert learn_merges(pieces_of([[0, 1]]), np.array([9]), ALPHABET, size=5, min_count=10) == []


def test_half_characters_are_never_joined() -> None:
    tokens = ["ş".encode()[:1], b"x", "ş".encode()[1:]]
    merges = learn_merges(pieces_of([[1, 0, 2]]), np.array([50]), tokens, size=5)
    assert [merge.token for merge in merges] == ["ş".encode(), "xş".encode()]


def test_a_merge_that_fires_too_often_in_protected_text_is_refused() -> None:
    pieces, weights = pieces_of([[0, 1], [2, 3]]), np.array([10, 8])
    foreign = np.array([6.0, 0.0])
    merges = learn_merges(pieces, weights, ALPHABET, size=5, foreign=foreign, price=2.0)
    assert [merge.token for merge in merges] == [b"cd"]


def test_many_pre_tokens_are_cut_as_each_alone() -> None:
    from ekle.bpe.base import load_base

    base = load_base("qwen3")
    words = [" evlerimizden", "Ankara", " görüşürüz", "\n", " ", "x"]
    got = cut(base.tokenizer(), words)
    plain = base.tokenizer()
    want = [plain.encode(word).ids for word in words]
    assert got.ids.tolist() == [i for ids in want for i in ids]
    assert got.lengths.tolist() == [len(ids) for ids in want]
