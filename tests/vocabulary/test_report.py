"""The page about a vocabulary, from its report."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny import ENGLISH, TURKISH

from ekle.artifacts import Vocabulary
from ekle.bpe.base import load_base
from ekle.counting import count_documents
from ekle.errors import RenamedWarning
from ekle.progress import silent
from ekle.recipe.vocabulary import VocabularySettings
from ekle.vocabulary.learn import learn_vocabulary
from ekle.vocabulary.report import render


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, _bases: dict[bool, Path]) -> Path:
    out = tmp_path_factory.mktemp("vocabulary")
    strict = out.parent / "strict.txt"
    strict.write_text("\n".join(ENGLISH), "utf-8")
    settings = VocabularySettings(
        size=25, min_count=2, languages={}, protect=[str(strict)], protect_strict=True, any_language=True
    )
    base = load_base(str(_bases[False]))
    counts = count_documents(TURKISH * 20, base, silent(), pre_tokenization=settings.pre_tokenization)
    other = {"mixed": ["evler and ağaçların", *ENGLISH]}
    learn_vocabulary(counts, base, settings, out, silent(), {"prose": TURKISH}, other)
    return out


@pytest.fixture
def report(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return content


def without_scripts(page: str) -> str:
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def test_every_part_of_the_report_is_on_the_page(folder: Path) -> None:
    page = without_scripts((folder / "report.html").read_text("utf-8"))
    for heading in (
        "What it saves",
        "What more tokens save",
        "What the tokens are",
        "What changes elsewhere",
    ):
        assert heading in page
    assert "25 new tokens save" in page
    assert "strictness costs" in page
    assert 'id="plot-trade-size"' in page
    assert "NaN" not in page


def test_nothing_on_the_page_comes_from_elsewhere(report: dict[str, Any]) -> None:
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", without_scripts(render(report)))


def test_changes_are_shown_token_by_token(report: dict[str, Any]) -> None:
    shown = without_scripts(render(report))
    changes = report["other"]["mixed"]["changes"]["listed"]
    assert changes
    for change in changes:
        for token in change["after"]:
            assert f"<span>{token.strip() or token}</span>" in shown


def test_text_of_others_cannot_become_markup(report: dict[str, Any]) -> None:
    hostile = copy.deepcopy(report)
    hostile["other"]["</script><b>"] = hostile["other"].pop("mixed")
    for point in hostile["size_trade_offs"]:
        point["lines_changed"]["</script><b>"] = point["lines_changed"].pop("mixed")
    hostile["other"]["</script><b>"]["changes"]["listed"][0]["after"] = ["<img src=x>"]
    page = render(hostile)
    assert "</script><b>" not in page and "<img src=x" not in page


def test_a_vocabulary_that_was_measured_on_nothing_has_a_page_too(report: dict[str, Any]) -> None:
    bare = {**report, "held_out": {}, "other": {}, "size_trade_offs": report["size_trade_offs"][:1]}
    bare["protected"] = {
        "texts": {},
        "lists": {},
        "strict": False,
        "contractions_restored": False,
        "costs": {},
    }
    page = without_scripts(render(bare))
    assert "the text that it was learned from" in page
    assert "What changes elsewhere" not in page and "<figure>" not in page


def test_a_vocabulary_of_ekle_0_1_is_read_and_said_to_be_one(
    folder: Path, report: dict[str, Any], tmp_path: Path
) -> None:
    old = copy.deepcopy(report)
    old["trades"] = old.pop("size_trade_offs")
    old["quota_places_left_to_others"] = old.pop("unfilled_quotas")
    old["protected"]["contractions_put_back"] = old["protected"].pop("contractions_restored")
    (tmp_path / "report.json").write_text(json.dumps(old), "utf-8")
    lines = (folder / "tokens.jsonl").read_text("utf-8").replace('"base_tokens"', '"base_pieces"')
    (tmp_path / "tokens.jsonl").write_text(lines, "utf-8")
    with pytest.warns(RenamedWarning) as said:
        assert Vocabulary(tmp_path).report == report
        assert Vocabulary(tmp_path).tokens() == Vocabulary(folder).tokens()
    (line,) = [str(warning.message) for warning in said]
    assert line.startswith(f"{tmp_path}: ekle 0.1 wrote it")
