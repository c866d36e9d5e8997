"""Tests go through doors that are open: a name that begins with an underscore belongs to its module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import python_files, short

PRIVATE = re.compile(r"(?:\w+\.)*_[A-Za-z]\w*")
ASKS = {"setattr", "delattr", "getattr", "hasattr", "object"}
"""Functions that are told a name; `patch.object` of unittest is one."""
OF_OTHERS = {
    "_asdict",  # of a named tuple, with an underscore to keep clear of its fields
    "_attn_implementation",  # transformers: what a configuration asks for
    "_dynamo",  # torch: graphs and how often they were made
    "_version",  # torch: changes in place
}


def _private(tree: ast.Module) -> Iterator[str]:
    """Private names that a test takes from elsewhere; those of its own classes are its own."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if name not in OF_OTHERS and PRIVATE.fullmatch(name):
                yield name
            case ast.ImportFrom(module=str(module), names=names) if not module.startswith("torch."):
                yield from (part for part in module.split(".") if PRIVATE.fullmatch(part))
                yield from (alias.name for alias in names if PRIVATE.fullmatch(alias.name))
            case ast.Import(names=names):
                parts = (part for alias in names for part in alias.name.split("."))
                yield from (part for part in parts if part not in OF_OTHERS and PRIVATE.fullmatch(part))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in ASKS:
                own = bool(args) and isinstance(args[0], ast.Name) and args[0].id in ("self", "cls")
                named = [arg.value for arg in args[:2] if isinstance(arg, ast.Constant)]
                yield from (n for n in named if isinstance(n, str) and PRIVATE.fullmatch(n) and not own)


@pytest.mark.parametrize("path", python_files("tests"), ids=short)
def test_a_test_reads_no_private_name(path: Path) -> None:
    assert list(_private(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "line",
    [
        "report._progress",
        "from ekle.evaluation.model.measure import _judge",
        "from ekle._hidden import open",
        "import ekle._hidden",
        'monkeypatch.setattr(module, "_MARGIN", 0)',
        'patch.setattr("ekle.model.checkpoint.weights._BLOCK", 1)',
    ],
)
def test_a_private_name_is_seen(line: str) -> None:
    assert len(list(_private(ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "self._rows",
        'hasattr(self, "_session")',
        "module.__file__",
        "from benchmarks.ablation.recipes.__main__ import main",
        "torch._dynamo.reset()",
        "from torch.utils._pytree import tree_leaves",
        'line.endswith("_tokens")',
    ],
)
def test_what_is_open_is_not_seen(line: str) -> None:
    assert list(_private(ast.parse(line))) == []
