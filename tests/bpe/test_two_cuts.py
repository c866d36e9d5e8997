"""A text in two cuts: the pairs of ends are the places where both have a boundary."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, TURKISH
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.two_cuts import Cutter


@pytest.fixture
def cutter(tiny_base: Path, tiny_vocabulary: Vocabulary) -> Cutter:
    return Cutter(
        Tokenizer.from_file(str(tiny_base / "tokenizer.json")),
        Tokenizer.from_file(str(tiny_vocabulary.tokenizer / "tokenizer.json")),
    )


def test_a_new_token_lies_between_two_pairs_and_holds_its_base_pieces(
    cutter: Cutter, tiny_vocabulary: Vocabulary
) -> None:
    pieces = {token.id: token.base_pieces for token in tiny_vocabulary.tokens()}
    met = 0
    for cuts in cutter.cut(TURKISH):
        start = 0
        assert len(cuts.new_ends) == len(cuts.new)  # merges only glue base pieces
        for number, base_end in zip(cuts.new.tolist(), cuts.base_ends.tolist(), strict=True):
            replaced = cuts.base[start : base_end + 1].tolist()
            assert replaced == pieces.get(number, [number])
            met += number in pieces
            start = base_end + 1
    assert met > 20


def test_text_without_new_tokens_is_cut_alike(cutter: Cutter) -> None:
    (cuts,) = cutter.cut(["the sun and the north"])
    assert cuts.base.tolist() == cuts.new.tolist()
    assert cuts.base_ends.tolist() == cuts.new_ends.tolist() == list(range(len(cuts.new)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(alphabet="evlerdiğnşış '1é<|im_end|>中", min_size=1))
def test_paired_ends_are_the_same_byte(cutter: Cutter, text: str) -> None:
    (cuts,) = cutter.cut([text])
    for base_end, new_end in zip(cuts.base_ends, cuts.new_ends, strict=True):
        head = [cutter.base.decode(cuts.base[: base_end + 1].tolist(), skip_special_tokens=False)]
        head.append(cutter.new.decode(cuts.new[: new_end + 1].tolist(), skip_special_tokens=False))
        assert head[0] == head[1]
    assert (cuts.base_ends[-1], cuts.new_ends[-1]) == (len(cuts.base) - 1, len(cuts.new) - 1)


def test_an_added_token_in_the_text_counts_its_own_bytes(cutter: Cutter) -> None:
    (cuts,) = cutter.cut([ENGLISH[0] + "<|im_end|>" + TURKISH[0]])
    assert cuts.new_ends.tolist() == list(range(len(cuts.new)))
