"""The ids that a model reads for a text: those of the text, and the token before it."""

from typing import Any

from ekle.errors import TokenizerError

END_OF_TEXT = "<|endoftext|>"
"""Separated the documents that Qwen3 learned from."""


def encode(tokenizer: Any, text: str) -> list[int]:
    """The ids of `text` alone."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def bos_ids(tokenizer: Any) -> list[int]:
    """The BOS token that the tokenizer itself puts before a text, as a list of one id or none.

    Llama's and Gemma's put `<s>` or `<bos>` there, Qwen3's nothing. A prompt starts with it, because the
    model has seen no text without.
    """
    bos = tokenizer.bos_token_id
    return [int(bos)] if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else []


def prefix_token_id(tokenizer: Any) -> int:
    """The token to put before a text, so that its first own token is predicted from something.

    Measuring, distilling and aligning all take this one. The first of these that there is: the BOS token that
    the tokenizer itself puts before a text; <|endoftext|>, which separated the documents that Qwen3 learned
    from; the BOS token that is named but not put there; the EOS token.

    Args:
        tokenizer: of transformers.

    Raises:
        TokenizerError: there is none of them. Any other token would have a meaning of its own.
    """
    named = tokenizer.get_vocab().get(END_OF_TEXT)
    for found in (*bos_ids(tokenizer), named, tokenizer.bos_token_id, tokenizer.eos_token_id):
        if found is not None:
            return int(found)
    raise TokenizerError(
        f"the tokenizer has no {END_OF_TEXT} and no other token to start a document with; "
        "name one as bos_token in its tokenizer_config.json"
    )
