"""README's tables are taken from pages of docs/; this holds them together."""

import pytest
from project import ROOT

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
