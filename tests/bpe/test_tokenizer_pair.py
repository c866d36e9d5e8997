"""A text in two encodings: the pairs of ends are the positions where both have a boundary."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, TURKISH
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.tokenizer_pair import TokenizerPair


@pytest.fixture
def tokenizer_pair(tiny_base: Path, tiny_vocabulary: Vocabulary) -> TokenizerPair:
    return TokenizerPair(
        Tokenizer.from_file(str(tiny_base / "tokenizer.json")),
        Tokenizer.from_file(str(tiny_vocabulary.tokenizer / "tokenizer.json")),
    )


def test_a_new_token_lies_between_two_pairs_and_holds_its_base_tokens(
    tokenizer_pair: TokenizerPair, tiny_vocabulary: Vocabulary
) -> None:
    base_tokens = {token.id: token.base_tokens for token in tiny_vocabulary.tokens()}
    met = 0
    for aligned in tokenizer_pair.encode(TURKISH):
        start = 0
        assert len(aligned.new_ends) == len(aligned.new)  # merges only join base tokens
        for number, base_end in zip(aligned.new.tolist(), aligned.base_ends.tolist(), strict=True):
            replaced = aligned.base[start : base_end + 1].tolist()
            assert replaced == base_tokens.get(number, [number])
            met += number in base_tokens
            start = base_end + 1
    assert met > 20


def test_text_without_new_tokens_is_encoded_alike(tokenizer_pair: TokenizerPair) -> None:
    (aligned,) = tokenizer_pair.encode(["the sun and the north"])
    assert aligned.base.tolist() == aligned.new.tolist()
    assert aligned.base_ends.tolist() == aligned.new_ends.tolist() == list(range(len(aligned.new)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(alphabet="evlerdiğnşış '1é<|im_end|>中", min_size=1))
def test_paired_ends_are_the_same_byte(tokenizer_pair: TokenizerPair, text: str) -> None:
    (aligned,) = tokenizer_pair.encode([text])
    for base_end, new_end in zip(aligned.base_ends, aligned.new_ends, strict=True):
        head = [tokenizer_pair.base.decode(aligned.base[: base_end + 1].tolist(), skip_special_tokens=False)]
        head.append(tokenizer_pair.new.decode(aligned.new[: new_end + 1].tolist(), skip_special_tokens=False))
        assert head[0] == head[1]
    assert (aligned.base_ends[-1], aligned.new_ends[-1]) == (len(aligned.base) - 1, len(aligned.new) - 1)


def test_an_added_token_in_the_text_counts_its_own_bytes(tokenizer_pair: TokenizerPair) -> None:
    (aligned,) = tokenizer_pair.encode([ENGLISH[0] + "<|im_end|>" + TURKISH[0]])
    assert aligned.new_ends.tolist() == list(range(len(aligned.new)))
