"""What callers hand over, in one way for every function: text, tokenizers, models, folders.

Stages read files. What is in memory is written to a temporary folder for as long as one call lasts.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from huggingface_hub import try_to_load_from_cache
from tokenizers import Tokenizer

from ekle.artifacts import Checkpoint, ExtendedModel, Release, Vocabulary
from ekle.bpe.base import BaseTokenizer, load_base
from ekle.errors import InputError, TextError, TokenizerError
from ekle.files import short_names
from ekle.pipeline.run_folder import RunFolder
from ekle.text.formats import is_listed


@runtime_checkable
class LoadedTokenizer(Protocol):
    """A fast tokenizer of transformers, such as `AutoTokenizer.from_pretrained` returns."""

    @property
    def backend_tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer` inside."""

    @property
    def save_pretrained(self) -> Callable[..., Any]:
        """Writes it to a folder."""


@runtime_checkable
class LoadedModel(Protocol):
    """A model of transformers, such as `AutoModelForCausalLM.from_pretrained` returns."""

    @property
    def state_dict(self) -> Callable[..., Any]:
        """Its tensors by name."""

    @property
    def save_pretrained(self) -> Callable[..., Any]:
        """Writes it to a folder."""


class SourceNames(tuple[str, ...]):
    """Names of sources of text, each as the command line takes it."""


Text = str | Path | Iterable[str] | Iterable[Path] | Iterable[str | Path]
"""Text. One `str` or `Path` names a source: a file, a folder, `hf:NAME[:CONFIG[:SPLIT]]`, `bundled:tr`. Of
several, `Path` objects and strings that begin with `hf:` or `bundled:` name sources; other strings are
documents."""

NamedTexts = Text | Mapping[str, Text]
"""Text to report by name: a mapping gives the names, files have those of their own."""

TokenizerLike = str | Path | Tokenizer | LoadedTokenizer
"""A tokenizer: "qwen3", a folder with tokenizer.json, a hub id, or a loaded one."""

ModelLike = str | Path | LoadedModel
"""A model: a folder, a hub id, or a loaded one."""

Place = str | Path | Vocabulary | ExtendedModel | Checkpoint | Release | RunFolder
"""A folder that ekle wrote, by its path or as what a function returned. A `Checkpoint` means its run folder,
because it holds only what training changed."""

_PREFIXES = ("hf:", "bundled:")


def folder_of(place: Place) -> Path:
    """The folder that `place` means.

    Raises:
        InputError: it is of another kind.
    """
    if isinstance(place, str | Path):
        return Path(place)
    if isinstance(place, Checkpoint):
        return place.folder.parent
    if isinstance(place, Vocabulary | ExtendedModel | Release | RunFolder):
        return place.folder
    raise InputError(
        f"a {type(place).__name__} is no folder that ekle wrote; give its path, or what a function of ekle "
        "returned"
    )


class Given:
    """Files for what a caller hands over; those of objects in memory are removed at the end.

    Args:
        near: a temporary folder is made next to this path, on the same disk; None takes the system's.
        text_field: the field under which documents in memory are written, because text is read with it.
    """

    def __init__(self, near: Path | None = None, text_field: str = "text") -> None:
        self._near, self._stack, self._text_field = near, ExitStack(), text_field
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def sources(self, text: Text, name: str = "text") -> list[str]:
        """The names of sources that `text` means; documents in memory become one that is called `name`.

        Raises:
            TextError: names and documents are mixed, or a list of strings holds the name of a file.
        """
        if isinstance(text, SourceNames):
            return list(text)
        if isinstance(text, str | Path):
            return [str(text)]
        items = iter(text)
        first = next(items, None)
        if first is None:
            return []
        items = chain([first], items)
        if isinstance(first, str) and len(first.split()) == 1 and is_listed(Path(first)):
            raise TextError(f"a list of strings is text itself; give Path({first!r}) to name the file")
        if _names_source(first):
            return [str(_source(item)) for item in items]
        return [str(self._written(items, name))]

    def named(self, texts: NamedTexts | None, name: str) -> dict[str, Path]:
        """One file, folder or other source for each text by its name; `name` is that of unnamed documents.

        Raises:
            TextError: as `sources`.
            InputError: a name has more than one source.
        """
        if texts is None:
            return {}
        if not isinstance(texts, Mapping):
            found = self.sources(texts, name)
            return dict(zip(short_names(found), map(Path, found), strict=True))
        files: dict[str, Path] = {}
        for key, text in texts.items():
            found = self.sources(text, key)
            if len(found) != 1:
                raise InputError(f"{key} names {len(found)} sources of text; give each a name of its own")
            files[key] = Path(found[0])
        return files

    def tokenizer(self, tokenizer: TokenizerLike) -> BaseTokenizer:
        """A tokenizer to extend.

        New ids begin after the embedding rows of its model. Of a loaded tokenizer those are read from the
        config.json in the folder, or in the cache of the hub, that it was loaded from; one that comes from
        nowhere has Qwen3's rows if it is Qwen's, or else as many as it has ids.

        Raises:
            InputError, TokenizerError: as `load_base`; also of a loaded one that is not fast.
        """
        if isinstance(tokenizer, str | Path):
            return load_base(str(tokenizer))
        folder = self.tokenizer_folder(tokenizer)
        name = str(getattr(tokenizer, "name_or_path", "") or "a loaded tokenizer")
        if (config := _model_config(name)) is not None:
            shutil.copyfile(config, folder / "config.json")
        return replace(load_base(str(folder)), name=name)

    def tokenizer_folder(self, tokenizer: Tokenizer | LoadedTokenizer) -> Path:
        """A folder with the files of a loaded tokenizer.

        Raises:
            TokenizerError: it is no fast one.
        """
        folder = self.new_folder(_called(tokenizer, "loaded-tokenizer"))
        if isinstance(tokenizer, Tokenizer):
            tokenizer.save(str(folder / "tokenizer.json"))
        elif isinstance(tokenizer, LoadedTokenizer):
            tokenizer.save_pretrained(folder)
        else:
            raise TokenizerError(
                f"a {type(tokenizer).__name__} is no tokenizer that ekle reads; give a fast one of "
                "transformers, a tokenizers.Tokenizer, a folder or a hub id"
            )
        return folder

    def model_folder(self, model: LoadedModel) -> Path:
        """A folder with the weights of a loaded model, in its precision.

        Raises:
            InputError: it is no model.
        """
        if not isinstance(model, LoadedModel):
            raise InputError(
                f"a {type(model).__name__} is no model that ekle reads; give one of transformers, a folder "
                "or a hub id"
            )
        folder = self.new_folder(_called(model, "loaded-model"))
        model.save_pretrained(folder)
        return folder

    def _written(self, texts: Iterable[Any], name: str) -> Path:
        """Documents as a file of JSON lines."""
        path = self.new_folder("text") / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as handle:
            for text in texts:
                if not isinstance(text, str) or _names_source(text):
                    raise TextError(
                        f"a list holds text or names of sources, not both; {text!r:.60} is of the other kind"
                    )
                handle.write(json.dumps({self._text_field: text}, ensure_ascii=True) + "\n")
        return path

    def new_folder(self, name: str) -> Path:
        """An empty folder that goes when the call ends."""
        if self._folder is None:
            if self._near is not None:
                self._near.parent.mkdir(parents=True, exist_ok=True)
            beside = self._near.parent if self._near is not None else None
            made = tempfile.TemporaryDirectory(prefix=".ekle-", dir=beside)
            self._folder = Path(self._stack.enter_context(made))
        number, folder = 1, self._folder / name
        while folder.exists():
            number += 1
            folder = self._folder / f"{name}-{number}"
        folder.mkdir()
        return folder


def _names_source(item: object) -> bool:
    return isinstance(item, Path) or (isinstance(item, str) and item.startswith(_PREFIXES))


def _source(item: Any) -> str | Path:
    if not _names_source(item):
        raise TextError(
            f"a list holds text or names of sources, not both; {item!r:.60} is of the other kind "
            "(name a file with Path)"
        )
    source: str | Path = item
    return source


def _model_config(name: str) -> Path | None:
    """The config.json of the model that a tokenizer was loaded with; None where it is not on this disk."""
    if Path(name).is_dir():
        path = Path(name) / "config.json"
        return path if path.is_file() else None
    if name.count("/") != 1:
        return None
    cached = try_to_load_from_cache(name, "config.json")
    return Path(cached) if isinstance(cached, str) else None


def _called(loaded: object, otherwise: str) -> str:
    """The last part of the name that a loaded object has, for the name of a folder."""
    return Path(str(getattr(loaded, "name_or_path", "") or otherwise)).name or otherwise
