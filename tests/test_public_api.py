"""The library: few names, all of them there, none of them slow."""

import inspect
import subprocess
import sys

import pytest

import ekle


def test_the_public_names_are_these() -> None:
    assert ekle.__all__ == [
        "EkleError",
        "Recipe",
        "compare",
        "evaluate",
        "export",
        "extend_model",
        "extend_tokenizer",
        "learn_vocabulary",
        "load_recipe",
        "run",
        "train",
    ]


@pytest.mark.parametrize("name", ekle.__all__)
def test_a_public_name_is_there_documented_and_typed(name: str) -> None:
    thing = getattr(ekle, name)
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        signature = inspect.signature(thing)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_public_names_are_listed_and_others_are_refused() -> None:
    assert set(ekle.__all__) <= set(dir(ekle))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ekle.nothing  # noqa: B018


def test_importing_ekle_imports_nothing_heavy() -> None:
    program = "import sys, ekle; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "tokenizers", "pydantic", "polars", "rich", "typer"}
    assert heavy.isdisjoint(done.stdout.split())


def test_a_tokenizer_is_extended_through_the_door(tiny_base, tmp_path) -> None:
    from ekle.bpe.graft import Merge

    folder = ekle.extend_tokenizer(str(tiny_base), [Merge(b"Z", b"Z"), Merge(b"ZZ", b"Z")], tmp_path / "out")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode("ZZZ", add_special_tokens=False).ids == [411]
