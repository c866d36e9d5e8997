"""report.json is read and written by one typed model, and not a byte changes on the way."""

import json
from pathlib import Path
from typing import Any

import pytest
from earlier_report import of_format_1
from full_report import complete
from partial_report import report_of
from project import ROOT
from pydantic import ValidationError

from ekle.artifacts.evaluation_report import EvaluationReport, Figure, TaskScores, TextDrift
from ekle.artifacts.evaluation_report.schema import field_docs, keys_page, report_schema
from ekle.artifacts.renamed_keys import EVALUATION_KEYS
from ekle.errors import InputError, RenamedWarning
from ekle.files import write_json


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A report.json in which every key stands, in the order in which they are written."""
    path = tmp_path / "report.json"
    write_json(path, complete())
    return path


def test_a_report_that_is_read_is_written_again_byte_for_byte(file: Path, tmp_path: Path) -> None:
    EvaluationReport.read(file).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def test_every_key_of_the_model_stands_in_the_full_report() -> None:
    """So nothing that the test above should see is missing there."""
    report = EvaluationReport.model_validate(complete())
    present = set(_keys(report))
    absent = {(name, key) for name, key in field_docs() if (name, key) not in present}
    # Speed and memory are those of the last model, which is the trained one there.
    assert absent == {(name, "extended") for name in ("ModelSpeeds", "CacheBytes", "WeightBytes")}


def _keys(part: Any) -> list[tuple[str, str]]:
    if isinstance(part, list):
        return [found for inner in part for found in _keys(inner)]
    if isinstance(part, dict):
        return [found for inner in part.values() for found in _keys(inner)]
    if not hasattr(part, "dump"):
        return []
    there = {key: inner for key, inner in part if inner is not None}
    own = [(type(part).__name__, key) for key in there]
    return own + [found for inner in there.values() for found in _keys(inner)]


def test_what_was_not_measured_is_absent_and_what_another_stage_reported_stays_as_it_is() -> None:
    content = report_of({"vocabulary": {"size": 3, "complies": None}}).dump()
    assert "tokens" not in content and content["vocabulary"] == {"size": 3, "complies": None}
    assert TaskScores(accuracy=Figure(value=1)).dump() == {"accuracy": {"value": 1.0}}


def test_a_report_does_not_change() -> None:
    with pytest.raises(ValidationError):
        report_of({}).title = "another"  # type: ignore[misc]


def test_a_report_of_another_format_is_refused_with_the_format_that_is_read(file: Path) -> None:
    write_json(file, complete() | {"format": 99})
    with pytest.raises(
        InputError, match=r"report\.json has format 99 and this ekle reads 1 and 2; evaluate again"
    ):
        EvaluationReport.read(file)


def test_a_report_of_ekle_0_1_is_read_under_the_names_of_today(file: Path, tmp_path: Path) -> None:
    vocabulary = {"unfilled_quotas": {"root": 1}, "keep": {"forms": [{"text": "a", "origin": "base"}]}}
    content = complete()
    content["vocabulary"] |= vocabulary
    content["vocabulary"]["size_trade_offs"][0]["root_intact"] = 0.4
    write_json(file, content)
    earlier, again = tmp_path / "earlier.json", tmp_path / "again.json"
    write_json(earlier, of_format_1(content))
    old = set(_names(json.loads(earlier.read_text("utf-8"))))
    never = {"contractions_put_back"}  # of a part of the vocabulary's report that evaluations leave out
    assert {key.old for key in EVALUATION_KEYS} - never <= old
    assert not {"peers", "all_held_out", "root_intact", "same_top_token", "truncated", "pre_tokens"} & old
    with pytest.warns(RenamedWarning, match=r"earlier\.json is of ekle 0\.1 \(format 1\)") as warned:
        EvaluationReport.read(earlier).write(again)
    assert len(warned) == 1
    assert again.read_bytes() == file.read_bytes()


def _names(part: Any) -> list[str]:
    """Every key, at any depth."""
    if isinstance(part, list):
        return [key for inner in part for key in _names(inner)]
    return [*part, *_names([*part.values()])] if isinstance(part, dict) else []


def test_a_wrong_key_is_named(file: Path) -> None:
    content = complete()
    content["drift"]["en"]["share"]["value"] = "much"
    write_json(file, content)
    with pytest.raises(InputError, match=r"damaged at drift\.en\.share\.value: .*; evaluate again"):
        EvaluationReport.read(file)
    write_json(file, complete() | {"surplus": 1})
    with pytest.raises(InputError, match="damaged at surplus"):
        EvaluationReport.read(file)


def test_an_interval_tells_a_change_from_none() -> None:
    assert Figure(value=0.2, low=0.1, high=0.3).is_significant
    assert not Figure(value=0.2, low=-0.1, high=0.3).is_significant
    assert not Figure(value=-0.9).is_significant
    assert Figure(value=0.2, low=0.1, high=0.4).negated == Figure(value=-0.2, low=-0.4, high=-0.1)
    assert Figure(value=0.2).negated == Figure(value=-0.2)


def test_every_key_says_what_it_means() -> None:
    assert all(docs.endswith((".", "`.")) for docs in field_docs().values())
    schema = report_schema()
    assert all(
        "description" in content
        for part in (schema, *schema["$defs"].values())
        for content in part.get("properties", {}).values()
    )
    assert set(schema["$defs"]["TextDrift"]["properties"]) == set(TextDrift.model_fields)


@pytest.mark.parametrize("name", ["report.schema.json", "report-keys.md"])
def test_the_docs_describe_the_model(name: str) -> None:
    """`make report-docs` writes both anew."""
    own = (ROOT / "docs" / name).read_text("utf-8")
    made = keys_page() if name.endswith(".md") else json.dumps(report_schema(), ensure_ascii=False, indent=2)
    assert own.rstrip("\n") == made.rstrip("\n")
