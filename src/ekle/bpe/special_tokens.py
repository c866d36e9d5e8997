"""The special tokens that go with a tokenizer: in tokenizer_config.json, and as ids beside a model.

Three files name the end of a text, padding and so on: tokenizer_config.json by their text, config.json and
generation_config.json by their id. Engines read one or another, so all three must say the same. They must
also be in a form that both transformers 4 and 5 read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ekle.files import read_json_object

Config = dict[str, Any]

_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_WITH_ID = ("bos_token", "eos_token", "pad_token")
"""Special tokens that config.json and generation_config.json name by their id, such as `eos_token_id`."""

_OF_ONE_LIBRARY = (
    "auto_map",
    "is_local",
    "backend",
    "files_loaded",
    "tokenizer_file",
    "vocab_file",
    "merges_file",
)
"""Keys that hold for the program, or the folder, that saved a tokenizer: code, file names, a class."""

TOKENIZER_CLASS = "PreTrainedTokenizerFast"
"""The class that reads tokenizer.json as it is, in transformers 4 and 5. With `Qwen2Tokenizer`, transformers
5 rebuilds the pre-tokenizer from its own code and loses ours; `TokenizersBackend` is not known to 4."""


def read_tokenizer_config(folder: Path) -> Config:
    """The content of tokenizer_config.json, with the special tokens that special_tokens_map.json alone names.

    A folder without either gives nothing.

    Raises:
        InputError: a file is not JSON, or holds something other than an object.
    """
    files = (folder / "special_tokens_map.json", folder / "tokenizer_config.json")
    found: Config = {}
    for file in files:
        if file.exists():
            said = read_json_object(file)
            found |= {key: value for key, value in said.items() if value is not None or key not in found}
    return found


def portable_config(config: Config, ids: Mapping[str, int]) -> tuple[Config, list[str]]:
    """A tokenizer_config.json that transformers 4 and 5 read, and that names only tokens that there are.

    transformers would add a token that is named and not there, and give it an id that has no row.

    Args:
        config: as the base has it.
        ids: the id of every token of the tokenizer, added tokens included.

    Returns:
        The new content, and what was left out of it, each as `key token`.
    """
    left: list[str] = []
    found = {key: value for key, value in config.items() if key not in _OF_ONE_LIBRARY}
    for key in _NAMED:
        if key in found:
            text = _text(found[key])
            if text is not None and text not in ids:
                left.append(f"{key} {text}")
                text = None
            found[key] = text
    listed: list[str] = []
    for key in ("additional_special_tokens", "extra_special_tokens"):
        value = found.pop(key, None)
        if isinstance(value, dict):  # by a name of their own, which transformers 4 and 5 read alike
            texts = {name: _text(token) for name, token in value.items()}
            found[key] = {name: text for name, text in texts.items() if text in ids}
            left += [f"{key} {text}" for text in texts.values() if text not in ids]
        elif isinstance(value, list):
            texts_of_list = [text for token in value if (text := _text(token)) is not None]
            listed += [text for text in texts_of_list if text in ids]
            left += [f"{key} {text}" for text in texts_of_list if text not in ids]
    if listed:
        # transformers 5 writes this list as `extra_special_tokens`, of which 4 expects an object.
        found["additional_special_tokens"] = list(dict.fromkeys(listed))
    decoder = found.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        found["added_tokens_decoder"] = {
            number: token
            for number, token in decoder.items()
            if isinstance(token, dict) and str(_id(token, ids)) == number
        }
    return {**found, "tokenizer_class": TOKENIZER_CLASS}, left


def _text(token: Any) -> str | None:
    """The text of a special token, which may stand there with its properties."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _id(token: Any, ids: Mapping[str, int]) -> int | None:
    text = _text(token)
    return None if text is None else ids.get(text)


def with_special_tokens_of(config: Config, other: Config) -> Config:
    """`config` with those special tokens that `other` names."""
    return {**config, **{key: other[key] for key in _NAMED if _text(other.get(key)) is not None}}


def end_of_text_by_id(config: Config, ids: Mapping[str, int], model: Config) -> Config:
    """`config` with the end of text and the padding of config.json, where that names others by their id.

    For a base without settings of its own for the tokenizer, so that config.json alone says how it ends.

    Args:
        config: tokenizer_config.json, of another tokenizer with the same ids.
        ids: the id of every token.
        model: config.json of the base.
    """
    tokens = {number: token for token, number in ids.items()}
    found = dict(config)
    for key in ("eos_token", "pad_token"):
        wanted = [number for number in as_list(model.get(f"{key}_id")) if number in tokens]
        if wanted and _id(config.get(key), ids) not in wanted:
            found[key] = tokens[wanted[0]]
    return found


def differing_ids(config: Config, ids: Mapping[str, int], model: Config) -> Config:
    """The ids of special tokens to change in config.json or generation_config.json, by their key.

    Text ends at each token that either file ends it with, so such ids are joined in a list. Of the others
    the tokenizer's holds, because it decides what is put into a text. Keys that `model` lacks are not added.

    Args:
        config: tokenizer_config.json.
        ids: the id of every token.
        model: content of config.json or generation_config.json.
    """
    found: Config = {}
    for key in _WITH_ID:
        number, said = _id(config.get(key), ids), as_list(model.get(f"{key}_id"))
        if number is not None and said and number not in said:
            found[f"{key}_id"] = [number, *said] if key == "eos_token" else number
    return found


def as_list(value: Any) -> list[int]:
    """One id, a list of ids or nothing, as a list."""
    values = value if isinstance(value, list) else [value]
    return [number for number in values if isinstance(number, int) and not isinstance(number, bool)]
