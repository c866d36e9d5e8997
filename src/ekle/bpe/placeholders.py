"""Names of embedding rows that have no token: they fill the hole between the last token and the last row."""


def placeholder(number: int) -> str:
    """The name that ekle gives row `number` of the hole."""
    return f"<|reserved_{number}|>"


def is_placeholder(token: str, number: int) -> bool:
    """Whether `token` with id `number` names a row that has no token.

    llama.cpp's converter calls such rows [PAD151665] and so on, and these names are in the vocabulary, or
    among the added tokens, of a tokenizer that was made from a GGUF file.
    """
    return token in (placeholder(number), f"[PAD{number}]")
