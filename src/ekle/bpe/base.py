"""Opening and saving tokenizers: the base to extend, and any other by name."""

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
from ekle.bpe.placeholders import is_placeholder
from ekle.bpe.qwen import EMBEDDING_ROWS, chat_template, qwen_config, qwen_tokenizer
from ekle.errors import InputError, TokenizerError
from ekle.files import atomic_file, read_json, write_json

_TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json"]


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
        merges: list[str | list[str]] = self.spec["model"]["merges"]
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
        return [(left, right) for left, right in pairs]

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
        return open_tokenizer(self.spec)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into `folder`."""
        save_tokenizer(folder, self.spec, self.config, self.chat_template)


def load_base(name: str, revision: str | None = None) -> BaseTokenizer:
    """Open the base tokenizer called `name`.

    Args:
        name: "qwen3" (needs no hub), a folder with tokenizer.json, or a hub id.
        revision: branch, tag or commit of a hub id.

    Raises:
        InputError: no such folder, and the hub has no such id or cannot be reached.
        TokenizerError: there is no tokenizer.json, it is not byte-level BPE, or the chat template is no text.
    """
    if name == "qwen3":
        return BaseTokenizer(name, qwen_tokenizer(), qwen_config(), chat_template(), EMBEDDING_ROWS)
    folder = Path(name) if Path(name).is_dir() else _download(name, revision)
    if not (folder / "tokenizer.json").exists():
        raise TokenizerError(
            f"{name} has no tokenizer.json; ekle extends byte-level BPE tokenizers saved as one"
        )
    spec = read_json(folder / "tokenizer.json")
    _check_byte_level_bpe(name, spec)
    config = (
        read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    )
    highest = max([*spec["model"]["vocab"].values(), *(token["id"] for token in spec["added_tokens"])])
    rows = read_json(folder / "config.json").get("vocab_size") if (folder / "config.json").exists() else None
    if rows is not None and rows <= highest:
        raise TokenizerError(
            f"{name} has {rows:,} embedding rows but a token with id {highest:,}; they do not belong together"
        )
    if rows is None:
        # Without a config.json the model is unknown; a tokenizer that equals Qwen's has Qwen's rows.
        rows = EMBEDDING_ROWS if highest < EMBEDDING_ROWS and highest >= 151_642 else highest + 1
    return BaseTokenizer(name, spec, config, default_template(folder), rows)


def open_tokenizer(spec: dict[str, Any]) -> Tokenizer:
    """Build a tokenizer from the content of a tokenizer.json."""
    return Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))


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


def _check_byte_level_bpe(name: str, spec: dict[str, Any]) -> None:
    """Refuse what cannot be extended by merges over bytes, in one line."""
    model = spec.get("model") or {}
    if model.get("type") != "BPE":
        raise TokenizerError(
            f"{name} is a {model.get('type', 'different kind of')} tokenizer; ekle extends byte-level BPE"
        )
    if model.get("byte_fallback") or not _has_byte_level(spec.get("pre_tokenizer")):
        raise TokenizerError(f"{name} is BPE over characters, not over bytes; ekle extends byte-level BPE")
    if model.get("ignore_merges"):
        raise TokenizerError(
            f"{name} sets ignore_merges, so its ids do not follow from merges; ekle cannot extend it"
        )
    if not model.get("merges"):
        raise TokenizerError(f"{name} has no merges in tokenizer.json")


def _has_byte_level(part: dict[str, Any] | None) -> bool:
    if part is None:
        return False
    return part.get("type") == "ByteLevel" or any(
        _has_byte_level(inner) for inner in part.get("pretokenizers", [])
    )


def load_tokenizer(name: Path | str) -> Tokenizer:
    """Open a tokenizer of any kind: a tokenizer.json, a folder or run folder with one, "qwen3" or a hub id.

    Raises:
        TokenizerError: the file is no tokenizer.
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
            try:
                return Tokenizer.from_file(str(file))
            except Exception as error:  # the library raises plain Exception for every malformed file
                raise TokenizerError(f"{file} is no tokenizer: {error}") from error
    return load_base(str(name)).tokenizer()
