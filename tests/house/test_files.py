"""How files look: short, documented, and free of the machine they were written on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import ROOT, project_files, python_files, short

LONGEST = 600
PARTS = ("src", "turkish_tokenizer", "benchmarks")
# Not spelled out, or this file would be the first to break its own rule.
MACHINE = re.compile(
    r"(?<![\w.:/-])/(?:"
    + "|".join(["ho" + "me", "ro" + "ot", "Us" + "ers", "wo" + "rk", "m" + "nt"])
    + r")/\w"
)


@pytest.mark.parametrize("path", python_files(*PARTS), ids=short)
def test_a_source_file_is_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", python_files("src", "turkish_tokenizer"), ids=short)
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    empty_package = path.name == "__init__.py" and not tree.body
    assert empty_package or ast.get_docstring(tree), "the module itself"
    bare = [node.name for node in _public(tree.body) if not ast.get_docstring(node)]
    assert bare == []


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes, and the public methods of public classes; an overload is a type alone."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list):
                continue
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = [
        f"{short(path)}:{number}: {line.strip()}"
        for path in project_files()
        if path.suffix != ".tsv"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_a_machines_path_is_seen_and_an_address_is_not() -> None:
    assert MACHINE.search('open("/ho' + 'me/ayse/text.txt")')
    assert not MACHINE.search("https://example.org/ho" + "me/ayse")
    assert not MACHINE.search("runs/wo" + "rk/x")


def test_the_tree_in_the_readme_is_true() -> None:
    """Every path that the README's tree draws exists, and every package of ekle stands in it."""
    drawn = list(_drawn((ROOT / "README.md").read_text("utf-8")))
    assert drawn, "the README shows where things are, as a tree in a code block"
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    packages = {path.parent.name for path in (ROOT / "src" / "ekle").glob("*/__init__.py")}
    assert packages <= {Path(path).name for path in drawn}


def _drawn(readme: str) -> Iterator[str]:
    """The paths that the block with `src/ekle/` draws: the first word a line, in the folder above it."""
    block = next((block for block in readme.split("```")[1::2] if "src/ekle/" in block), "")
    above: list[tuple[int, str]] = []
    for line in block.splitlines()[1:]:
        words = line.lstrip(" │├└─").split()
        if not words:
            continue
        indent = line.index(words[0])
        while above and above[-1][0] >= indent:
            above.pop()
        path = (above[-1][1] if above else "") + words[0]
        if words[0].endswith("/"):
            above.append((indent, path))
        yield path


def test_a_drawn_tree_is_read() -> None:
    readme = (
        "# x\n```text\nMakefile  set-up\nsrc/ekle/\n  bpe/     merges\n    qwen.py\n  cli/\ntests/\n```\n"
    )
    assert list(_drawn(readme)) == [
        "Makefile",
        "src/ekle/",
        "src/ekle/bpe/",
        "src/ekle/bpe/qwen.py",
        "src/ekle/cli/",
        "tests/",
    ]


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=short)
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text("utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (path.parent / link).exists()] == []
