"""The glossary: every link to a term leads to one, each term has an example, and its figures are measured."""

import re
from pathlib import Path

import pytest
from project import ROOT, short

GLOSSARY = ROOT / "docs" / "glossary.md"
LINK = re.compile(r"\]\(([^)\s]*)\)")
FIGURE = re.compile(r"\d+\.\d+|\d{5,}")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def terms(page: str) -> dict[str, str]:
    """The terms, as the headings of the third level, to what stands below each."""
    parts = re.split(r"^### (.+)$", re.sub(r"^## .*$", "", page, flags=re.MULTILINE), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchors(page: str) -> set[str]:
    """What GitHub names each heading by."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.casefold()).replace(" ", "-") for heading in headings}


TERMS = terms(GLOSSARY.read_text("utf-8"))


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_said_in_one_line_and_shown_by_an_example(term: str) -> None:
    said, shown = [" ".join(part.split()) for part in TERMS[term].strip().split("\n\n")]
    assert said
    assert shown.startswith("Example: ")


@pytest.mark.parametrize("term", TERMS)
def test_the_figures_of_an_example_stand_on_the_page_that_it_links(term: str) -> None:
    pages = [GLOSSARY.parent / link for link in LINK.findall(TERMS[term])]
    sources = "".join(page.read_text("utf-8") for page in pages)
    figures = FIGURE.findall(TERMS[term].replace(",", "")) if pages else []
    assert [figure for figure in figures if figure not in sources.replace(",", "")] == []


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_a_link_into_a_page_leads_to_one_of_its_headings(page: Path) -> None:
    missing = []
    for link in LINK.findall(page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        if anchor and "://" not in link:
            target = page.parent / name if name else page
            missing += [] if anchor in anchors(target.read_text("utf-8")) else [link]
    assert missing == []


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{name}.md" for name in "tour report training rows".split())]
)
def test_a_page_that_people_start_with_links_to_the_glossary(page: str) -> None:
    assert "glossary.md#" in (ROOT / page).read_text("utf-8")
