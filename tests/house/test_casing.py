"""Turkish casing has one owner, because Python's own turns `KIRK` into `kirk`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import ROOT, python_files, short

OWNER = ROOT / "src" / "ekle" / "turkish" / "casing.py"
FORBIDDEN = {
    *("lower", "upper", "casefold", "title", "capitalize", "swapcase"),
    *("to_lowercase", "to_uppercase", "to_titlecase"),  # polars
}


def _breaches(tree: ast.Module) -> Iterator[int]:
    """Lines that change the case of text by a method of str or of a polars column."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in FORBIDDEN:
            continue
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner != "casing" and (owner == "str" or _is_called(tree, node)):
            yield node.lineno


def _is_called(tree: ast.Module, attribute: ast.Attribute) -> bool:
    return any(isinstance(node, ast.Call) and node.func is attribute for node in ast.walk(tree))


@pytest.mark.parametrize("path", python_files("src", "turkish_tokenizer", "benchmarks"), ids=short)
def test_only_the_casing_module_changes_case(path: Path) -> None:
    if path == OWNER:
        pytest.skip("this is the owner")
    assert list(_breaches(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "line", ["word.lower()", "map(str.upper, words)", "f(x)[0].title()", "column.str.to_lowercase()"]
)
def test_a_breach_is_seen(line: str) -> None:
    assert list(_breaches(ast.parse(line))) == [1]


@pytest.mark.parametrize("line", ["casing.lower(word)", "figure.title", "lower(word)"])
def test_what_is_no_breach_is_not_seen(line: str) -> None:
    assert list(_breaches(ast.parse(line))) == []
