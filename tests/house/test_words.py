"""Pages, docstrings, comments and messages use the words of the field; docs/glossary.md has ours."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import ROOT, python_files, short

COUNTED = "nats?|bits|bytes|tokens?|characters?|words|letters|morphemes|operations|loss|losses|numbers|types"
UNITS = "token|word|line|step|second|sequence|byte|parameter|document|layer|device|core|GPU"
INSTEAD = {
    r"by chance": "sampled; stochastic rounding",
    r"go(?:es)? (?:through )?at once": "micro-batch",
    r"laborator(?:y|ies)": "ablation",
    r"arms?": "variant",
    r"floors|the house|one room|fuller rooms": "layers, packages, code base",
    r"(?:an?|the|on|one) processors?|processor (?:seconds|minutes|time)": "CPU",
    rf"(?:{COUNTED}) an? (?:{UNITS})": "per",
    r"(?:goes|went|gone) back": "rollback, rolls back",
    r"start token|opening token|behind (?:the|an) opening": "BOS, prefix token",
    r"base(?:'s)? (?:own )?pieces": "base tokens",
    r"(?:new|old|either|both|wrong|base's|tokenizer's|its own) cuts?": "tokenization, token boundary",
    r"cut (?:stage|alike|whole|behind)|uncut": "pre-tokenizer stage, tokenize, split; root intact",
    r"spread (?:matrices|weights|tensors|parameters)": "sharded",
    r"intervals? (?:are|is|that are|lie) (?:not )?apart|not apart": "non-overlapping intervals",
    r"beside (?:ours|others)|ours beside": "peers",
    r"costly (?:words?|one)": "expensive words",
    r"untouched": "preservation, unchanged",
    r"told to be|hears? of the progress": "identified as; receives progress",
    r"yardstick|same ruler": "reference, metric",
    r"(?:plain|slow|clear) twin": "reference implementation",
    r"made of chance": "sampled",
    r"(?:read|judged|counted|measured) are (?:sequences|tokens|texts|words)": "the subject first",
}
FORBIDDEN = re.compile("|".join(rf"(?P<_{n}>\b(?:{bad})\b)" for n, bad in enumerate(INSTEAD)), re.IGNORECASE)
RECORDS = {ROOT / "docs" / "log.md", ROOT / "CHANGELOG.md"}  # they tell what was, in the words of its day
PAGES = [
    path
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if path not in RECORDS and path.parent.name != "decisions"
]
SOURCES = python_files("src", "turkish_tokenizer", "benchmarks")
TEMPLATES = sorted((ROOT / "src").rglob("*.html"))


def faults(lines: dict[int, str]) -> list[str]:
    """What no line should say, each with its line and what to say instead."""
    return [
        f"line {number}: {found.group()!r}, say: {list(INSTEAD.values())[int(str(found.lastgroup)[1:])]}"
        for number, line in sorted(lines.items())
        for found in FORBIDDEN.finditer(line)
    ]


def prose(page: str) -> dict[int, str]:
    """The lines of a page without what is code, which has names."""
    page = re.sub(r"```.*?```", lambda block: "\n" * block.group().count("\n"), page, flags=re.DOTALL)
    return dict(enumerate(re.sub(r"`[^`]*`", "`", page).splitlines(), start=1))


def said(source: str) -> dict[int, str]:
    """The comments, docstrings and other texts of several words in a program, by line."""
    lines: dict[int, str] = {}
    for number, text in (*_texts(source), *_comments(source)):
        for offset, line in enumerate(text.splitlines()):
            lines[number + offset] = f"{lines.get(number + offset, '')} {re.sub('`[^`]*`', '`', line)}"
    return lines


def _texts(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES], ids=short)
def test_a_page_uses_the_words_of_the_field(path: Path) -> None:
    assert faults(prose(path.read_text("utf-8"))) == []


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_a_program_uses_the_words_of_the_field(path: Path) -> None:
    assert faults(said(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "text drawn by chance",
        "nats a token",
        "The best arm of the laboratory",
        "seconds on a processor",
        "the run goes back to it",
        "the base's own pieces",
        "Read are sequences",
    ],
)
def test_what_the_field_does_not_say_is_seen(text: str) -> None:
    assert faults(prose(text))
    assert faults(said(f'"""{text}"""'))
    assert faults(said(f"x = 1  # {text}"))


@pytest.mark.parametrize(
    "text",
    [
        "a power cut",
        "it stands in for a model",
        "the post-processor",
        "`goes back`",
        "arm64",
        "the floor of a share",
    ],
)
def test_what_is_plain_english_or_a_name_is_not_seen(text: str) -> None:
    assert faults(prose(text)) == []
    assert faults(said(f'"""{text}"""')) == []
