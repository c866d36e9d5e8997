"""Continued BPE over arrays gives the merges of the plain version, and the tokenizer reaches each."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.encode import EncodedTexts, encode_pre_tokens
from ekle.bpe.learn import Phase, learn_merges, learn_merges_reference, replace_pair

ALPHABET = [b"a", b"b", b"c", b"d"]
texts = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.integers(1, 5)), min_size=1, max_size=12
)


def encoded_of(token_ids: list[list[int]]) -> EncodedTexts:
    return EncodedTexts(
        np.array([i for c in token_ids for i in c], dtype=np.int32), np.array([len(c) for c in token_ids])
    )


@settings(max_examples=300, deadline=None)
@given(texts)
def test_the_fast_path_learns_what_the_reference_learns(rows: list[tuple[list[int], int]]) -> None:
    token_ids, weights = [row for row, _ in rows], [weight for _, weight in rows]
    fast = learn_merges(encoded_of(token_ids), np.array(weights), ALPHABET, size=6)
    assert [(merge.left, merge.right) for merge in fast.merges] == learn_merges_reference(
        token_ids, weights, ALPHABET, size=6
    )


@settings(max_examples=200, deadline=None)
@given(texts)
def test_the_texts_come_back_as_the_merges_leave_them(rows: list[tuple[list[int], int]]) -> None:
    token_ids, weights = [row for row, _ in rows], [weight for _, weight in rows]
    learned = learn_merges(encoded_of(token_ids), np.array(weights), ALPHABET, size=6)
    for merge in learned.merges:
        token_ids = [replace_pair(text, (merge.left, merge.right), merge.id) for text in token_ids]
    assert learned.encoded.equals(encoded_of(token_ids))


def test_the_most_frequent_pair_comes_first_and_its_count_is_what_it_saves() -> None:
    merges = learn_merges(
        encoded_of([[0, 1, 2], [0, 1], [2, 3]]), np.array([3, 4, 5]), ALPHABET, size=1
    ).merges
    assert (merges[0].token, merges[0].count) == (b"ab", 7)


def test_rare_pairs_are_left_alone() -> None:
    assert learn_merges(encoded_of([[0, 1]]), np.array([9]), ALPHABET, size=5, min_count=10).merges == []


def test_half_characters_are_never_joined() -> None:
    tokens = ["ş".encode()[:1], b"x", "ş".encode()[1:]]
    merges = learn_merges(encoded_of([[1, 0, 2]]), np.array([50]), tokens, size=5).merges
    assert [merge.token for merge in merges] == ["ş".encode(), "xş".encode()]


def test_a_merge_that_saves_less_than_what_it_changes_costs_is_refused() -> None:
    encoded, weights = encoded_of([[0, 1], [2, 3]]), np.array([10, 8])
    merges = learn_merges(encoded, weights, ALPHABET, size=5, cost=np.array([12.0, 0.0])).merges
    assert [merge.token for merge in merges] == [b"cd"]


def test_a_pre_token_is_paid_for_once() -> None:
    encoded, weights = encoded_of([[0, 1, 2], [0, 1]]), np.array([7, 5])
    merges = learn_merges(encoded, weights, ALPHABET, size=5, cost=np.array([8.0, 0.0])).merges
    assert [(merge.token, merge.price) for merge in merges] == [(b"ab", 8.0), (b"abc", 0.0)]


def test_many_pre_tokens_are_encoded_as_each_alone(base: BaseTokenizer) -> None:
    words = [" evlerimizden", "Ankara", " görüşürüz", "\n", " ", "x"]
    got = encode_pre_tokens(base.tokenizer(), words)
    plain = base.tokenizer()
    want = [plain.encode(word).ids for word in words]
    assert got.ids.tolist() == [i for ids in want for i in ids]
    assert got.lengths.tolist() == [len(ids) for ids in want]


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(2, 8))
def test_no_token_falls_below_the_least_use(rows: list[tuple[list[int], int]], least: int) -> None:
    token_ids, weights = encoded_of([row for row, _ in rows]), np.array([weight for _, weight in rows])
    merges = learn_merges(
        token_ids, weights, ALPHABET, size=9, min_count=least, phases=[Phase(least_use=least)]
    ).merges
    use = {merge.id: merge.count for merge in merges}
    for merge in merges:
        for part in (merge.left, merge.right):
            if part in use:
                use[part] -= merge.count
    assert all(count >= least for count in use.values())


def test_what_one_phase_leaves_is_offered_to_the_next() -> None:
    encoded, weights = encoded_of([[0, 1], [2, 3]]), np.array([9, 5])
    phases = [Phase(lambda token: token == b"cd", until=1), Phase()]
    merges = learn_merges(encoded, weights, ALPHABET, size=5, phases=phases).merges
    assert [merge.token for merge in merges] == [b"cd", b"ab"]


def test_a_step_may_starve_where_the_longer_token_is_worth_it() -> None:
    encoded, weights = encoded_of([[0, 1, 2]]), np.array([50])
    strict = [Phase(least_use=10)]
    assert len(learn_merges(encoded, weights, ALPHABET, size=5, phases=strict).merges) == 1
    lenient = [Phase(least_use=10, step_gain=50)]
    assert len(learn_merges(encoded, weights, ALPHABET, size=5, phases=lenient).merges) == 2
