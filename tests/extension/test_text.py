"""Text that rules learn from must hold a new token."""

from collections.abc import Iterator

import pytest
from tiny import BASE_ROWS, ENGLISH, TURKISH
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.errors import TextError
from ekle.extension.text import check_new_tokens_occur


@pytest.fixture
def tokenizer(tiny_vocabulary: Vocabulary) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_vocabulary.tokenizer / "tokenizer.json"))


def test_one_new_token_is_enough_and_nothing_behind_its_batch_is_read(tokenizer: Tokenizer) -> None:
    read = 0

    def documents() -> Iterator[str]:
        nonlocal read
        for text in [*["1 2 3"] * 3_000, TURKISH[0], *["4 5 6"] * 9_000]:
            read += 1
            yield text

    check_new_tokens_occur(documents(), tokenizer, BASE_ROWS, 10**9)
    assert read == 4_000


@pytest.mark.parametrize("documents", [[], [""], ["1 2 3", "4"]])
def test_text_without_a_new_token_is_refused(documents: list[str], tokenizer: Tokenizer) -> None:
    with pytest.raises(TextError, match=r"no new token occurs in the [0-9] bytes"):
        check_new_tokens_occur(documents, tokenizer, BASE_ROWS, 10**9)


def test_text_that_the_rule_does_not_read_does_not_count(tokenizer: Tokenizer) -> None:
    first = "1 2 3 4 5"
    check_new_tokens_occur([first, TURKISH[0]], tokenizer, BASE_ROWS, len(first) + 1)
    with pytest.raises(TextError, match=f"no new token occurs in the {len(first)} bytes"):
        check_new_tokens_occur([first, TURKISH[0], *ENGLISH], tokenizer, BASE_ROWS, len(first))
