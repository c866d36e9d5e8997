"""What the lower layers, the command line and the library may import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, python_files, short

PACKAGE = ROOT / "src" / "ekle"
HEAVY = {"torch", "transformers", "peft", "accelerate"}
LOW = "turkish bpe recipe text counting corpus vocabulary planning".split()
LIGHT = [*LOW, "cli", "pipeline"]


def test_language_tokens_and_text_load_no_tensor_library() -> None:
    """Imported for real, so that what a dependency drags in is seen as well."""
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in python_files(*(f"src/ekle/{name}" for name in LIGHT))
    ]
    program = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("path", python_files(*(f"src/ekle/{name}" for name in LOW)), ids=short)
def test_language_tokens_and_text_name_no_tensor_library(path: Path) -> None:
    named = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in _imported(node)
    }
    assert HEAVY.isdisjoint(named)


@pytest.mark.parametrize("path", python_files("src", "turkish_tokenizer", "benchmarks"), ids=short)
def test_nothing_is_unpickled_and_no_remote_code_is_trusted(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert {"pickle", "dill", "joblib", "shelve", "marshal"}.isdisjoint(_imported(node))
        if isinstance(node, ast.Call):
            given = {word.arg: word.value for word in node.keywords}
            for forbidden in ("allow_pickle", "trust_remote_code"):
                value = given.get(forbidden)
                assert value is None or (isinstance(value, ast.Constant) and value.value is False), forbidden
            loads = isinstance(node.func, ast.Attribute) and node.func.attr in (
                "from_pretrained",
                "from_config",
            )
            if loads and ast.unparse(node.func).startswith("Auto"):  # left out, it asks the user
                assert "trust_remote_code" in given
            if ast.unparse(node.func) == "torch.load":
                only = given.get("weights_only")
                assert isinstance(only, ast.Constant)
                assert only.value is True


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case _:
            return []
