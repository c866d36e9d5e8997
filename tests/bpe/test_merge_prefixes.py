"""What is read off the whole vocabulary is what each smaller one does."""

import numpy as np
import pytest
from tiny import ENGLISH, TURKISH

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.encode import encode_pre_tokens
from ekle.bpe.graft import Merge, graft
from ekle.bpe.learn import LearnedMerge, learn_merges
from ekle.bpe.merge_prefixes import MergePrefixes
from ekle.bpe.opening import open_tokenizer
from ekle.bpe.pre_tokenizers import apostrophe_pre_tokenizer

SIZES = (0, 7, 60)
LINES = [*TURKISH, *ENGLISH, "Ankara'da, 'there'", "ağaç ağacın"]


@pytest.fixture(scope="module")
def merges(base: BaseTokenizer) -> list[LearnedMerge]:
    words = sorted({f" {word}" for line in TURKISH for word in line.split()})
    weights = np.arange(len(words), 0, -1, dtype=np.int64)
    return learn_merges(encode_pre_tokens(base.tokenizer(), words), weights, base.token_bytes, size=60).merges


def extended(base: BaseTokenizer, merges: list[LearnedMerge]):
    token_bytes = [*base.token_bytes, *(merge.token for merge in merges)]
    grafted = [Merge(token_bytes[merge.left] or b"", token_bytes[merge.right] or b"") for merge in merges]
    return open_tokenizer(graft(base, grafted, apostrophe_pre_tokenizer(base))[0])


def test_a_smaller_tokenizer_is_the_whole_one_with_later_merges_undone(
    base: BaseTokenizer, merges: list[LearnedMerge]
) -> None:
    prefixes = MergePrefixes(merges)
    whole = [encoding.ids for encoding in extended(base, merges).encode_batch(LINES)]
    before = [encoding.ids for encoding in base.tokenizer().encode_batch(LINES)]
    id_counts = np.bincount(np.concatenate(whole), minlength=base.rows + len(merges))
    changed = [prefixes.first_change(old, new) for old, new in zip(before, whole, strict=True)]
    for size in SIZES:
        small = [encoding.ids for encoding in extended(base, merges[:size]).encode_batch(LINES)]
        assert [prefixes.undo(ids, size) for ids in whole] == small
        assert prefixes.tokens(id_counts, size) == sum(map(len, small))
        really = [old != new for old, new in zip(before, small, strict=True)]
        assert [at is not None and at <= size for at in changed] == really


def test_what_the_pre_tokenizer_changes_is_changed_without_any_merge(
    base: BaseTokenizer, merges: list[LearnedMerge]
) -> None:
    line = "'there'"
    before, after = base.tokenizer().encode(line).ids, extended(base, merges).encode(line).ids
    assert MergePrefixes(merges).first_change(before, after) == 0


def test_no_merges_have_one_beginning() -> None:
    nothing = MergePrefixes([])
    assert nothing.tokens(np.array([3, 4]), 0) == 7
    assert nothing.first_change([1, 2], [1, 2]) is None
