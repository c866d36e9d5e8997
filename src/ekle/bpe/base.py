"""Tokenizers by name: the base to extend, any other, and how they are saved."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import snapshot_download
from tokenizers import Tokenizer

from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.chat_templates import default_template
from ekle.bpe.opening import (
    Specification,
    check_byte_level_bpe,
    check_rows,
    merge_pairs,
    open_tokenizer,
    open_tokenizer_file,
    read_specification,
)
from ekle.bpe.placeholders import is_placeholder
from ekle.bpe.qwen import EMBEDDING_ROWS, chat_template, qwen_config, qwen_tokenizer
from ekle.bpe.special_tokens import read_tokenizer_config
from ekle.errors import InputError, TokenizerError
from ekle.files import atomic_file, read_json_object, write_json

_TOKENIZER_FILES = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "config.json",
]


@dataclass(frozen=True)
class BaseTokenizer:
    """A byte-level BPE tokenizer, as the files that describe it.

    `name` is what the user called it, `spec` tokenizer.json, `config` tokenizer_config.json, and
    `rows` the number of embedding rows of the model it belongs to.
    """

    name: str
    spec: dict[str, Any]
    config: dict[str, Any]
    chat_template: str | None
    rows: int

    @cached_property
    def vocab(self) -> dict[str, int]:
        """Token string (in the byte alphabet) to id, added tokens not included."""
        vocab: dict[str, int] = self.spec["model"]["vocab"]
        return vocab

    @cached_property
    def added(self) -> dict[str, int]:
        """Content of each added token to its id."""
        return {token["content"]: token["id"] for token in self.spec["added_tokens"]}

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """The merges as pairs of token strings, whichever of the two styles the file has."""
        return list(merge_pairs(self.spec))

    @cached_property
    def token_bytes(self) -> list[bytes | None]:
        """The raw bytes of each id; None for added tokens and for rows without a token."""
        found: list[bytes | None] = [None] * self.rows
        for token, number in self.vocab.items():
            if token not in self.added and not is_placeholder(token, number):
                found[number] = decode_token(token)
        return found

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits that change whenever the tokenization of some text could change."""
        large = ("vocab", "merges")  # as JSON with sorted keys they would take half a second
        pipeline = {key: self.spec[key] for key in ("normalizer", "pre_tokenizer", "added_tokens")}
        pipeline["model"] = {key: value for key, value in self.spec["model"].items() if key not in large}
        ranked = sorted(self.vocab.items(), key=itemgetter(1))
        digest = hashlib.sha256(json.dumps(pipeline, sort_keys=True).encode())
        digest.update("\n".join(token for token, _ in ranked).encode())
        digest.update(np.array([number for _, number in ranked], dtype="<i8").tobytes())
        digest.update("\n".join(" ".join(merge) for merge in self.merges).encode())
        return digest.hexdigest()[:12]

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, opened once and shared; code that changes it must restore it."""
        return self._opened

    @cached_property
    def _opened(self) -> Tokenizer:
        return open_tokenizer(self.spec, self.name)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into `folder`."""
        save_tokenizer(folder, self.spec, self.config, self.chat_template)


def load_base(name: str, revision: str | None = None) -> BaseTokenizer:
    """Open the base tokenizer called `name`; truncation, padding and merge dropout are off.

    Args:
        name: "qwen3" (needs no hub), a folder with tokenizer.json, or a hub id.
        revision: branch, tag or commit of a hub id.

    Raises:
        InputError: no such folder, and the hub has no such id or cannot be reached; or a file beside
            tokenizer.json is damaged.
        TokenizerError: there is no tokenizer.json, it is not byte-level BPE or not whole (see
            `ekle.bpe.opening`), or the chat template is no text.
    """
    if name == "qwen3":
        return BaseTokenizer(name, qwen_tokenizer(), qwen_config(), chat_template(), EMBEDDING_ROWS)
    folder = Path(name) if Path(name).is_dir() else _download(name, revision)
    if not (folder / "tokenizer.json").exists():
        raise TokenizerError(
            f"{name} has no tokenizer.json; ekle extends byte-level BPE tokenizers saved as one"
        )
    spec = read_specification(folder / "tokenizer.json")
    check_byte_level_bpe(name, spec)
    rows = _rows(name, folder, spec)
    check_rows(name, spec, rows)
    base = BaseTokenizer(name, spec, read_tokenizer_config(folder), default_template(folder), rows)
    base.tokenizer()  # the library may refuse what looks whole
    return base


def _rows(name: str, folder: Path, spec: Specification) -> int:
    """The embedding rows of the model that a tokenizer belongs to."""
    highest = max([*spec["model"]["vocab"].values(), *(token["id"] for token in spec["added_tokens"])])
    file = folder / "config.json"
    rows = read_json_object(file).get("vocab_size") if file.exists() else None
    if rows is None:
        # Without a config.json the model is unknown; a tokenizer that equals Qwen's has Qwen's rows.
        return EMBEDDING_ROWS if 151_642 <= highest < EMBEDDING_ROWS else highest + 1
    if not isinstance(rows, int) or isinstance(rows, bool):
        raise TokenizerError(
            f"{file} has the vocab_size {rows!r:.40}, which is no number of rows; fetch it again"
        )
    if rows <= highest:
        raise TokenizerError(
            f"{name} has {rows:,} embedding rows but a token with id {highest:,}; they do not belong together"
        )
    return rows


def save_tokenizer(folder: Path, spec: dict[str, Any], config: dict[str, Any], template: str | None) -> None:
    """Write tokenizer.json, tokenizer_config.json and, where there is one, chat_template.jinja."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / "tokenizer.json") as path:
        path.write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {key: value for key, value in config.items() if key != "chat_template"},
    )
    if template is not None:
        with atomic_file(folder / "chat_template.jinja") as path:
            path.write_text(template, encoding="utf-8")


def _download(name: str, revision: str | None) -> Path:
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise InputError(
            f"there is no folder {name}; give qwen3, a folder, or a hub id such as Qwen/Qwen3-8B"
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_TOKENIZER_FILES))
    except Exception as error:  # the hub client raises many unrelated types; each means "not available"
        raise InputError(
            f"{name} is no folder, and the hub did not give it ({type(error).__name__}); "
            "check the name and the network"
        ) from error


def load_tokenizer(name: Path | str) -> Tokenizer:
    """Open a tokenizer of any kind: a tokenizer.json, a folder or run folder with one, "qwen3" or a hub id.

    Truncation, padding and merge dropout are off.

    Raises:
        TokenizerError: the file is no tokenizer that encodes every text.
        InputError: there is nothing of that name.
    """
    path = Path(name)
    places = (
        path,
        path / "tokenizer.json",
        path / "tokenizer" / "tokenizer.json",
        path / "model" / "tokenizer.json",
    )
    for file in places:
        if file.is_file():
            return open_tokenizer_file(file)
    return load_base(str(name)).tokenizer()
