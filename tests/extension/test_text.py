"""Text that rules learn from must hold a new token."""

from collections.abc import Iterator

import pytest
from tiny import BASE_ROWS, ENGLISH, TURKISH
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.errors import InputError, TextError
from ekle.extension.text import check_new_tokens_occur, check_text_given
from ekle.recipe.extension import ExtensionSettings, FocusSettings, Heuristic, Initialiser


def reading(text_bytes: int) -> ExtensionSettings:
    """A rule that reads so much text."""
    return ExtensionSettings(init="focus", focus=FocusSettings(text_bytes=text_bytes))


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

    check_new_tokens_occur(documents(), tokenizer, BASE_ROWS, reading(10**9))
    assert read == 4_000


@pytest.mark.parametrize("documents", [[], [""], ["1 2 3", "4"]])
def test_text_without_a_new_token_is_refused(documents: list[str], tokenizer: Tokenizer) -> None:
    with pytest.raises(TextError, match=r"no new token occurs in the [0-9] bytes"):
        check_new_tokens_occur(documents, tokenizer, BASE_ROWS, reading(10**9))


def test_text_that_the_rule_does_not_read_does_not_count(tokenizer: Tokenizer) -> None:
    first = "1 2 3 4 5"
    check_new_tokens_occur([first, TURKISH[0]], tokenizer, BASE_ROWS, reading(len(first) + 1))
    with pytest.raises(TextError, match=f"no new token occurs in the {len(first)} bytes"):
        check_new_tokens_occur([first, TURKISH[0], *ENGLISH], tokenizer, BASE_ROWS, reading(len(first)))


@pytest.mark.parametrize("init", ["mapped", "hybrid"])
@pytest.mark.parametrize("output", [None, "focus", "mean"])
def test_the_rules_that_the_message_names_need_no_text(init: Initialiser, output: Heuristic | None) -> None:
    settings = ExtensionSettings(init=init, output=output)
    if not settings.reads_text:
        check_text_given(settings, given=False)
        return
    with pytest.raises(InputError) as refused:
        check_text_given(settings, given=False)
    cures = {"init": "--init subword", "output": "extension.output=subword"}
    named = {end: "subword" for end, words in cures.items() if words in str(refused.value)}
    check_text_given(settings.model_copy(update=named), given=False)
