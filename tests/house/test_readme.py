"""README's table is taken from docs/peers.md; this holds the two together."""

from project import ROOT


def rows(page: str) -> dict[str, list[str]]:
    lines = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_figures_in_readme_are_those_of_the_peers_page() -> None:
    measured = rows((ROOT / "docs" / "peers.md").read_text("utf-8"))
    shown = rows((ROOT / "README.md").read_text("utf-8"))
    shown.pop("tokenizer")
    assert len(shown) == 5
    for name, cells in shown.items():
        row = measured[name.replace("**", "").removesuffix(", the default")]
        assert cells == [row[3], *row[4:8], row[8]], name
