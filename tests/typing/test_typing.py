"""The types that ekle ships are those that a user's type checker sees."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ekle

HERE = Path(__file__).parent


def check(program: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """mypy --strict over one file, as a user has it: with ekle installed, and none of its settings."""
    words = ["--strict", "--follow-imports=silent", "--config-file=", "--cache-dir", str(cache), str(program)]
    source = str(Path(ekle.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=cache,
        env={**os.environ, "MYPYPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of mypy, so that the second program is read in a second."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.slow(seconds=20)
def test_a_program_over_the_public_names_passes_strict_checks(cache: Path) -> None:
    done = check(HERE / "user_program.py", cache)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow(seconds=3)
def test_a_wrong_argument_is_found(cache: Path, tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(
        "import ekle\n\nekle.learn_vocabulary(5, 'out')\nekle.plan('quickstart').fit\n", "utf-8"
    )
    found = check(program, cache).stdout
    assert "[arg-type]" in found
    assert "[attr-defined]" in found


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(ekle.__file__).parent / "py.typed").is_file()
