"""Tokenizers are opened in one room, where truncation, padding and dropout go off and faults are found."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import ROOT, python_files, short

ROOMS = {
    ROOT / "src" / "ekle" / "bpe" / "opening.py",
    ROOT / "src" / "ekle" / "model" / "checkpoint" / "loading.py",  # by transformers, which bpe does without
}
OPENERS = {"from_file", "from_str", "from_buffer", "from_pretrained"}
CLASSES = {"Tokenizer", "AutoTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend", "AutoProcessor"}


def opened(tree: ast.Module) -> Iterator[int]:
    """Lines that open a tokenizer: by a class of either library, or by giving one its file."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).split(".")
        by_class = len(called) > 1 and called[-1] in OPENERS and called[-2] in CLASSES
        by_file = any(word.arg in ("tokenizer_file", "tokenizer_object") for word in node.keywords)
        if by_class or by_file:
            yield node.lineno


@pytest.mark.parametrize("path", python_files("src", "turkish_tokenizer"), ids=short)
def test_no_other_code_opens_a_tokenizer(path: Path) -> None:
    if path in ROOMS:
        pytest.skip("this is the room")
    assert list(opened(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "line",
    [
        "Tokenizer.from_file('tokenizer.json')",
        "tokenizers.Tokenizer.from_str(text)",
        "AutoTokenizer.from_pretrained(folder)",
        "transformers.PreTrainedTokenizerFast.from_pretrained(folder)",
        "Any(tokenizer_file='tokenizer.json')",
    ],
)
def test_an_opened_tokenizer_is_seen(line: str) -> None:
    assert list(opened(ast.parse(line))) == [1]


@pytest.mark.parametrize("line", ["AutoConfig.from_pretrained(folder)", "Tokenizer(models.BPE())"])
def test_what_opens_none_is_not_seen(line: str) -> None:
    assert list(opened(ast.parse(line))) == []
