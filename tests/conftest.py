"""Fixtures that every test may use; the small world itself is built in tiny.py.

Fixtures over a model take the head's kind from `tied`. It is False unless a test says otherwise:

    @pytest.mark.parametrize("tied", [False, True])
    def test_something(tiny_extended): ...

What a fixture returns is shared by all tests: read it, never write into it.
"""

import functools
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import (
    write_base,
    write_base_artifact,
    write_corpus,
    write_extended,
    write_plain_text,
    write_vocabulary,
)

from ekle.artifacts import BaseModel, Corpus, ExtendedModel, Vocabulary
from ekle.bpe import base as base_module
from ekle.bpe.base import BaseTokenizer, load_base

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no process is left alone with it at the end."""
    items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    slow = item.get_closest_marker("slow")
    return float(slow.kwargs["seconds"]) if slow else 0.0


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What ekle remembers on disk is remembered for these tests only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EKLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_power_failure() -> Iterator[None]:
    """Nobody pulls the plug here, so that nothing has to wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _qwen_once() -> Iterator[None]:
    """Recovering Qwen's merges takes a second or two, and always gives the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base_module, "qwen_tokenizer", functools.cache(base_module.qwen_tokenizer))
        yield


@pytest.fixture(scope="module", autouse=True)
def _settled() -> None:
    """Searches for garbage, which ekle asks for when it lets go of a model, pass over what a session has
    loaded by now: millions of objects that stay."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of text to measure with; the test is skipped where it is absent."""
    folder = Path(os.environ.get("EKLE_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data to measure with in {folder}; set EKLE_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def plain_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `--data` of the laboratories asks for, of the text that comes with ekle."""
    return write_plain_text(tmp_path_factory.mktemp("plain-text"))


@pytest.fixture(scope="session")
def base() -> BaseTokenizer:
    """Qwen's tokenizer, recovered once."""
    return load_base("qwen3")


@pytest.fixture
def tied() -> bool:
    """Whether input and output embeddings are one matrix."""
    return False


@pytest.fixture(scope="session")
def _bases(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {tied: write_base(root / ("tied" if tied else "untied"), tied=tied) for tied in (False, True)}


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A few dozen Turkish documents, two held-out genres, English to leave alone."""
    return write_corpus(tmp_path_factory.mktemp("1-corpus"))


@pytest.fixture(scope="session")
def tiny_vocabulary(tmp_path_factory: pytest.TempPathFactory, _bases: dict[bool, Path]) -> Vocabulary:
    """Twenty new tokens, ids 410 to 429, over the tokenizer of `tiny_base`."""
    return write_vocabulary(tmp_path_factory.mktemp("2-vocabulary"), _bases[False])


@pytest.fixture
def tiny_base(_bases: dict[bool, Path], tied: bool) -> Path:
    """A model folder: 410 rows, hidden size 32, two layers, float32, one safetensors file."""
    return _bases[tied]


@pytest.fixture(scope="session")
def _base_models(tmp_path_factory: pytest.TempPathFactory, _bases: dict[bool, Path]) -> dict[bool, BaseModel]:
    root = tmp_path_factory.mktemp("3-base")
    return {tied: write_base_artifact(root / str(tied), model) for tied, model in _bases.items()}


@pytest.fixture
def tiny_base_model(_base_models: dict[bool, BaseModel], tied: bool) -> BaseModel:
    """The artifact of the base stage over `tiny_base`."""
    return _base_models[tied]


@pytest.fixture(scope="session")
def _extended_models(
    tmp_path_factory: pytest.TempPathFactory, _bases: dict[bool, Path], tiny_vocabulary: Vocabulary
) -> dict[bool, ExtendedModel]:
    root = tmp_path_factory.mktemp("4-extension")
    return {tied: write_extended(root / str(tied), model, tiny_vocabulary) for tied, model in _bases.items()}


@pytest.fixture
def tiny_extended(_extended_models: dict[bool, ExtendedModel], tied: bool) -> ExtendedModel:
    """`tiny_base` with twenty mean-of-pieces rows, 430 in all; artifact of the extension stage."""
    return _extended_models[tied]
