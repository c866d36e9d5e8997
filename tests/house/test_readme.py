"""README's tables are those of pages and recipes, and its program runs."""

import re
from pathlib import Path

import pytest
from project import ROOT
from tiny import TURKISH

from ekle.recipe.recipe import load_recipe, shipped_recipes

README = (ROOT / "README.md").read_text("utf-8")
QUALITY = "## What it does to quality"


def rows(page: str) -> dict[str, list[str]]:
    lines = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_figures_in_readme_are_those_of_the_peers_page() -> None:
    measured = rows((ROOT / "docs" / "peers.md").read_text("utf-8"))
    shown = rows(README.split(QUALITY)[0])
    shown.pop("tokenizer")
    assert len(shown) == 5
    for name, cells in shown.items():
        row = measured[name.replace("**", "").removesuffix(", the default")]
        assert cells == [row[3], *row[4:8], row[8]], name


@pytest.mark.parametrize("page", ["adaptation.md", "adaptation-flat.md"])
def test_the_figures_of_the_ablations_are_those_of_their_pages(page: str) -> None:
    """Of the base that knows Turkish, which comes first."""
    text = (ROOT / "docs" / page).read_text("utf-8").split("## A base that hardly")[0]
    found = rows(text[text.index("| target |") :])
    start, turkish, english = (
        next(cells for name, cells in found.items() if name.startswith(beginning))
        for beginning in ("step 0", "equal compute", "its English")
    )
    shown = next(cells for name, cells in rows(README.split(QUALITY)[1]).items() if f"docs/{page})" in name)
    assert shown == [
        f"{start[1]} of the base",
        f"`{turkish[0].split(', rate')[0]}` {turkish[1].split(' (')[0]}",
        english[1].split(" (")[0],
    ]


def test_the_table_of_recipes_has_each_with_its_base() -> None:
    table = rows(README.split("## Recipes")[1].split("\n## ")[0])
    table.pop("recipe")
    assert {name.strip("`") for name in table} == set(shipped_recipes())
    for name, (base, _) in table.items():
        model = load_recipe(name.strip("`")).base.model.removeprefix("Qwen/")
        assert base.startswith("a toy" if model == "tiny" else model), name


@pytest.mark.slow(seconds=18)
def test_the_program_in_readme_runs(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a tiny model, and as many tokens as a small text gives."""
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    program = program.replace("Qwen/Qwen3-0.6B", str(tiny_base)).replace("size=5000", "size=12, min_count=2")
    program = program.replace("minutes=30", "tokens=512")
    monkeypatch.chdir(tmp_path)
    Path("my-text.txt").write_text("\n".join(text.replace("\n", " ") for text in TURKISH * 20), "utf-8")
    made: dict[str, object] = {}
    exec(program, made)  # what a reader would paste
    base, new, fits = capsys.readouterr().out.split("\n")[:3]
    assert int(new.split()[1]) < int(base.split()[1])
    assert fits == "True"
    assert hasattr(made["model"], "forward")
