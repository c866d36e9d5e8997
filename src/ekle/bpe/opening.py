"""The one place where a tokenizer is opened: read, set to encode all of a text, and checked.

A tokenizer.json may come from anywhere. It may have been saved with truncation, padding or merge dropout
set, which cut, lengthen or vary what a text becomes. It may also be damaged. Everything that ekle opens goes
through `open_tokenizer` or `open_tokenizer_file`; `check_byte_level_bpe` says whether it can be extended.
transformers has its own way to open one, in `ekle.model.checkpoint.loading`, which switches off the same.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ekle.bpe.byte_alphabet import byte_to_char, in_byte_alphabet
from ekle.errors import InputError, TokenizerError
from ekle.files import read_json_object

Specification = dict[str, Any]
"""The content of a tokenizer.json."""

_PROBE = "Çok güzel bir gün, 12 elma.\n\t日本 🙂 \x00"
"""Text that every tokenizer must encode: letters, digits, space, and characters that few have a token for."""

_UTF8_BYTES = [*range(0xC0), *range(0xC2, 0xF5)]
"""The bytes that occur in UTF-8."""

_FETCH = "fetch tokenizer.json again, or save it again with the program that made it"


def read_specification(file: Path) -> Specification:
    """The content of the tokenizer.json `file`, with truncation, padding and merge dropout off.

    Raises:
        TokenizerError: it is missing, damaged, or no tokenizer.
    """
    try:
        spec = read_json_object(file)
    except InputError as error:
        raise TokenizerError(str(error)) from error
    except OSError as error:
        raise TokenizerError(f"{file} cannot be read: {error.strerror}") from error
    check_structure(str(file), spec)
    return plain(spec)


def plain(spec: Specification) -> Specification:
    """`spec` without what cuts, lengthens or varies the tokens of a text, and with the keys that may lack."""
    found = {**spec, **{key: None for key in ("truncation", "padding") if spec.get(key) is not None}}
    found["added_tokens"] = spec.get("added_tokens") or []
    for key in ("normalizer", "pre_tokenizer"):
        found.setdefault(key, None)
    if found["model"].get("dropout"):
        found["model"] = {**found["model"], "dropout": None}
    return found


def open_tokenizer(spec: Specification, name: str = "the tokenizer") -> Tokenizer:
    """Build a tokenizer from the content of a tokenizer.json.

    Each added token keeps the id that `spec` gives it, where the vocabulary gives ids. The library itself
    renumbers added tokens that are not in the vocabulary as soon as an id below theirs is missing there.

    Args:
        spec: the content; it stays as it is.
        name: what the user calls the tokenizer, for messages.

    Raises:
        TokenizerError: the library cannot read it, or it cannot encode every text.
    """
    spec = plain(spec)
    tokenizer = _read(spec, name)
    added = {token["content"]: token["id"] for token in spec["added_tokens"]}
    vocab = spec["model"].get("vocab")
    moved = any(tokenizer.token_to_id(content) != number for content, number in added.items())
    if moved and isinstance(vocab, dict):
        tokenizer = _read({**spec, "model": {**spec["model"], "vocab": {**vocab, **added}}}, name)
    with _one_line(f"{name} cannot encode every text"):
        tokenizer.encode(_PROBE, add_special_tokens=False)
    return tokenizer


def open_tokenizer_file(file: Path) -> Tokenizer:
    """Open a tokenizer.json of any kind, to encode and to measure.

    Raises:
        TokenizerError: it is missing or damaged, cannot encode every text, or loses bytes of it.
    """
    spec = read_specification(file)
    if is_byte_level(spec) and spec["model"].get("type") == "BPE":
        _check_bytes(str(file), spec)
    return open_tokenizer(spec, str(file))


def _read(spec: Specification, name: str) -> Tokenizer:
    with _one_line(f"{name} is no tokenizer that the tokenizers library reads"):
        return Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turn an error of the library, which raises plain `Exception` for every fault, into a TokenizerError."""
    try:
        yield
    except Exception as error:
        raise TokenizerError(f"{what}: {_first_line(error)}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust, which is no Exception
            raise
        raise TokenizerError(f"{what}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def is_byte_level(spec: Specification) -> bool:
    """Whether texts become bytes, written as `ekle.bpe.byte_alphabet` says, before they become tokens."""
    return _has_byte_level(spec.get("pre_tokenizer"))


def _has_byte_level(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    inner = part.get("pretokenizers")
    return part.get("type") == "ByteLevel" or any(
        map(_has_byte_level, inner if isinstance(inner, list) else [])
    )


def check_structure(name: str, spec: Specification) -> None:
    """See that `spec` has the parts of a tokenizer.json, each of its kind.

    Raises:
        TokenizerError: it has not.
    """
    model = spec.get("model")
    if not isinstance(model, dict):
        raise TokenizerError(f"{name} is no tokenizer: it has no model; {_FETCH}")
    for token in _listed(name, "added_tokens", spec.get("added_tokens")):
        if not (
            isinstance(token, dict) and isinstance(token.get("content"), str) and _is_id(token.get("id"))
        ):
            raise TokenizerError(f"{name}: the added token {token!r:.80} has no content or no id; {_FETCH}")
    vocab = model.get("vocab")
    if model.get("type", "BPE") == "BPE":
        if not isinstance(vocab, dict):
            raise TokenizerError(f"{name} has no vocabulary in its model; {_FETCH}")
        wrong = next((token for token, number in vocab.items() if not _is_id(number)), None)
        if wrong is not None:
            raise TokenizerError(f"{name}: the token {wrong!r} has the id {vocab[wrong]!r:.40}; {_FETCH}")
        for merge in _listed(name, "merges", model.get("merges")):
            if len(_pair(merge)) != 2:
                raise TokenizerError(f"{name}: the merge {merge!r:.80} is no pair of tokens; {_FETCH}")


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def _listed(name: str, key: str, value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise TokenizerError(f"{name}: {key} is no list; {_FETCH}")
    return value or []


def _pair(merge: Any) -> list[str]:
    """The two tokens of a merge, in either of the styles that files have; anything else is not two."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    return parts if isinstance(parts, list) and all(isinstance(part, str) for part in parts) else []


def merge_pairs(spec: Specification) -> Iterator[tuple[str, str]]:
    """The merges as pairs of token strings, in order."""
    for merge in spec["model"].get("merges") or []:
        left, right = _pair(merge)
        yield left, right


def check_byte_level_bpe(name: str, spec: Specification) -> None:
    """See that a tokenizer is one that merges over bytes can extend, and whole.

    Args:
        name: what the user calls it.
        spec: its tokenizer.json, which `check_structure` has passed.

    Raises:
        TokenizerError: it is of another kind; its ids clash; a token is not written in the byte alphabet, a
            byte of UTF-8 has none, or a merge makes no token.
    """
    model = spec["model"]
    if model.get("type") != "BPE":
        raise TokenizerError(
            f"{name} is a {model.get('type', 'different kind of')} tokenizer; ekle extends byte-level BPE"
        )
    affixes = [key for key in ("continuing_subword_prefix", "end_of_word_suffix") if model.get(key)]
    if model.get("byte_fallback") or affixes or not is_byte_level(spec):
        raise TokenizerError(f"{name} is BPE over characters, not over bytes; ekle extends byte-level BPE")
    if model.get("ignore_merges"):
        raise TokenizerError(
            f"{name} sets ignore_merges, so its ids do not follow from merges; ekle cannot extend it"
        )
    if not model.get("merges"):
        raise TokenizerError(f"{name} has no merges in tokenizer.json")
    _check_ids(name, spec)
    _check_spelling(name, spec)
    _check_bytes(name, spec)
    vocab = model["vocab"]
    for left, right in merge_pairs(spec):
        missing = next((token for token in (left, right, left + right) if token not in vocab), None)
        if missing is not None:
            raise TokenizerError(
                f"{name}: the merge {left!r} + {right!r} needs the token {missing!r}, which is not in the "
                f"vocabulary; {_FETCH}"
            )


def check_rows(name: str, spec: Specification, rows: int) -> None:
    """See that the embedding rows of a model are about as many as its tokens, so that holes can be filled.

    Raises:
        TokenizerError: more than half of them have no token.
    """
    tokens = len(spec["model"]["vocab"].keys() | {token["content"] for token in spec["added_tokens"]})
    if rows > 2 * tokens + 1024:
        raise TokenizerError(
            f"{name} has {tokens:,} tokens for {rows:,} embedding rows, so its ids have holes that are no "
            "padding; take tokenizer and model from one folder"
        )


def _check_ids(name: str, spec: Specification) -> None:
    """See that no two tokens have one id, and no token two."""
    vocab: dict[str, int] = spec["model"]["vocab"]
    by_id: dict[int, str] = {}
    ids = dict(vocab)
    for token, number in [
        *vocab.items(),
        *((token["content"], token["id"]) for token in spec["added_tokens"]),
    ]:
        if ids.setdefault(token, number) != number:
            raise TokenizerError(f"{name} gives {token!r} two ids, {ids[token]} and {number}; {_FETCH}")
        if by_id.setdefault(number, token) != token:
            raise TokenizerError(
                f"{name} gives the id {number} to two tokens, {by_id[number]!r} and {token!r}; {_FETCH}"
            )


def _check_bytes(name: str, spec: Specification) -> None:
    """See that every byte of UTF-8 has a token, because the library drops those without one in silence."""
    vocab, alphabet = spec["model"]["vocab"], byte_to_char()
    missing = [byte for byte in _UTF8_BYTES if alphabet[byte] not in vocab]
    if missing:
        raise TokenizerError(
            f"{name} has no token for the byte 0x{missing[0]:02X} ({len(missing)} of the {len(_UTF8_BYTES)} "
            "of UTF-8 are missing), so it loses text; train it with the whole byte alphabet"
        )


def _check_spelling(name: str, spec: Specification) -> None:
    """See that every token but the added ones is written in the byte alphabet, or no text becomes it."""
    added = {token["content"] for token in spec["added_tokens"]}
    for token, number in spec["model"]["vocab"].items():
        if token not in added and not in_byte_alphabet(token):
            raise TokenizerError(
                f"{name}: the token {token!r} (id {number}) is not written in the byte alphabet, so no text "
                "becomes it; enter it among added_tokens in tokenizer.json"
            )
