"""The text that rules for new rows learn from: whether it can teach them anything."""

from collections.abc import Iterable

from tokenizers import Tokenizer

from ekle.bpe.encode import batches
from ekle.errors import InputError, TextError
from ekle.extension.rules.text_sample import first_bytes
from ekle.recipe.extension import RULES_READING_TEXT, ExtensionSettings


def check_new_tokens_occur(
    documents: Iterable[str], tokenizer: Tokenizer, first_new_id: int, settings: ExtensionSettings
) -> None:
    """See that at least one new token occurs in text that a rule is to learn from.

    Reads up to the first one, so text that fits costs one batch of documents.

    Args:
        documents: the text.
        tokenizer: the extended tokenizer.
        first_new_id: id of the first new token.
        settings: the rules; text behind the bytes that they read does not count.

    Raises:
        TextError: none occurs.
    """
    read = 0
    for texts in batches(first_bytes(documents, settings.text_bytes)):
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        if any(max(encoding.ids, default=-1) >= first_new_id for encoding in encodings):
            return
        read += sum(len(text.encode()) for text in texts)
    raise TextError(
        f"no new token occurs in the {read:,} bytes of text that the rule reads; give it text in the "
        "language of the vocabulary (--corpus, or corpus.sources in a recipe), or take a rule that reads "
        f"none, such as {_without_text(settings)}"
    )


def check_text_given(settings: ExtensionSettings, given: bool) -> None:
    """Raise InputError where a rule reads text and none is given."""
    if settings.reads_text and not given:
        rule = settings.init if settings.init in RULES_READING_TEXT else settings.output
        raise InputError(
            f"the rule {rule} learns from text; give some with --corpus FILE (corpus.sources), or take a "
            f"rule that reads none, such as {_without_text(settings)}"
        )


def _without_text(settings: ExtensionSettings) -> str:
    """What to change so that the rules for both ends read no text."""
    changes = {
        "--init subword (extension.init)": settings.init,
        "--set extension.output=subword": settings.output,
    }
    return " and ".join(change for change, rule in changes.items() if rule in RULES_READING_TEXT)
