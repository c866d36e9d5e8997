"""What pages name is there: modules, files, and the options of commands."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer
from project import ROOT, short

from ekle.cli.app import app

PACKAGES = {"ekle": ROOT / "src" / "ekle", "benchmarks": ROOT / "benchmarks"}
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "recipes").glob("*.toml")])
ROOTS = "src|tests|docs|recipes|benchmarks|turkish_tokenizer"
INNER = "|".join(sorted(path.name for path in PACKAGES["ekle"].iterdir() if path.is_dir()))
FILE = re.compile(rf"(?<![\w/.-])((?:{ROOTS}|{INNER})/[\w./-]*\.(?:py|md|toml|tsv|html|json|svg))\b")
FOLDER = re.compile(r"(?<![\w/.-])(src/ekle/[\w./-]*[\w/])")
MODULE = re.compile(r"(?<![\w./-])((?:ekle|benchmarks)(?:\.\w+)+)")
PAST = {"benchmarks.adaptation", "benchmarks.engine"}
"""Names of 0.1 that the list of changes tells; nothing else may name what is not there."""

COMMAND = re.compile(r"(?<![\w/.-])(?:\.venv/bin/)?ekle ([a-z]+)\b((?:[^`\n]|\\\n)*)")
OPTION = re.compile(r"(?<!\S)(--[a-z][\w-]*)")
TODAY = [path for path in PAGES if path.name not in ("CHANGELOG.md", "log.md")]  # these tell old options


@cache
def defined(path: Path) -> frozenset[str]:
    """The names that a module defines or offers at its top, and those in its classes."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return frozenset(names)


def is_there(name: str) -> bool:
    """Whether a dotted name leads to a package, a module, or what one defines."""
    first, *rest = name.split(".")
    at = PACKAGES[first]
    while rest and (at / rest[0]).is_dir():
        at /= rest.pop(0)
    inside = bool(rest) and (at / f"{rest[0]}.py").is_file()
    module = at / (f"{rest.pop(0)}.py" if inside else "__init__.py")
    return set(rest) <= defined(module)


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_every_file_and_module_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    bases = [ROOT, PACKAGES["ekle"], page.parent]
    named = {*FILE.findall(text), *FOLDER.findall(text)}
    missing = {name for name in named if not any((base / name).exists() for base in bases)}
    missing |= {name for name in MODULE.findall(text) if not is_there(name)}
    assert missing <= PAST


def test_every_decision_is_in_the_index() -> None:
    index = ROOT / "docs" / "decisions" / "README.md"
    linked = re.findall(r"\]\((\d[\w-]*\.md)\)", index.read_text("utf-8"))
    assert linked == sorted(path.name for path in index.parent.glob("[0-9]*.md"))


def options() -> dict[str, set[str]]:
    """The options of each command, `--help` and `--version` among them."""
    commands = typer.main.get_group(app).commands.items()
    return {name: {"--help", *(word for one in made.params for word in one.opts)} for name, made in commands}


OPTIONS = options()


@pytest.mark.parametrize("page", TODAY, ids=short)
def test_every_option_that_a_page_gives_a_command_is_one_of_its_own(page: Path) -> None:
    wrong = []
    for command, words in COMMAND.findall(page.read_text("utf-8")):
        if command in OPTIONS:
            wrong += [f"{command} {one}" for one in OPTION.findall(words) if one not in OPTIONS[command]]
    assert wrong == []


@pytest.mark.parametrize(
    "name",
    ["ekle.bpe.cutter", "ekle.bpe.learn.nothing", "benchmarks.laboratory", "ekle.everything"],
)
def test_a_name_that_leads_nowhere_is_seen(name: str) -> None:
    assert MODULE.findall(f"see `{name}`.") == [name]
    assert not is_there(name)


def test_the_tree_in_readme_has_every_package() -> None:
    """With the folders of each that it shows, at the indentation that says where they are."""
    tree = (ROOT / "README.md").read_text("utf-8").split("## Where things are")[1].split("```")[1]
    shown: set[str] = set()
    above: list[str] = []
    for line in tree.strip("\n").splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        above = [*above[: indent // 2], name]
        shown.add("".join(above).rstrip("/"))
    assert [path for path in sorted(shown) if not (ROOT / path).is_dir()] == []
    packages = {short(file.parent) for file in PACKAGES["ekle"].glob("*/__init__.py")}
    assert packages - shown == set()
