"""Which token stands before a text."""

from pathlib import Path
from typing import Any

import pytest
from tiny import BPE_IDS, START, with_start
from transformers import AutoTokenizer

from ekle.errors import TokenizerError
from ekle.model.encoding import bos_ids, prefix_token_id


class Named:
    """A tokenizer that puts nothing before a text, and names these tokens."""

    def __init__(self, *vocabulary: str, bos: int | None = None, eos: int | None = None) -> None:
        self._vocabulary = {token: number for number, token in enumerate(vocabulary)}
        self.bos_token_id, self.eos_token_id = bos, eos

    def get_vocab(self) -> dict[str, int]:
        return self._vocabulary

    def __call__(self, text: str) -> dict[str, Any]:
        return {"input_ids": [self._vocabulary[text]]}


def test_a_text_starts_as_the_tokenizer_starts_it(tiny_base: Path) -> None:
    plain, starting = AutoTokenizer.from_pretrained(tiny_base), with_start(tiny_base)
    assert (bos_ids(plain), prefix_token_id(plain)) == ([], BPE_IDS)  # <|endoftext|>
    assert (bos_ids(starting), prefix_token_id(starting)) == ([START], START)
    # A name for a start is not enough: this tokenizer puts it before nothing.
    assert bos_ids(AutoTokenizer.from_pretrained(tiny_base, bos_token="<|im_start|>")) == []


def test_a_token_that_is_only_named_comes_after_endoftext() -> None:
    assert prefix_token_id(Named("a", "<|endoftext|>", bos=7, eos=8)) == 1
    assert prefix_token_id(Named("a", bos=7, eos=8)) == 7
    assert prefix_token_id(Named("a", eos=8)) == 8


def test_no_other_token_is_taken_instead() -> None:
    with pytest.raises(TokenizerError, match=r"no <\|endoftext\|> .*; name one as bos_token"):
        prefix_token_id(Named("a"))
