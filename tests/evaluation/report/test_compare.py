"""Evaluations side by side, from their report.json alone."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from earlier_report import of_format_1
from full_report import between, complete
from partial_report import report_of
from rich.console import Console

from ekle.cli import main
from ekle.errors import InputError
from ekle.evaluation.report.compare import compare_reports, read_report
from ekle.evaluation.report.terminal import reports_table


def compared_reports(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The comparison as JSON content."""
    return compare_reports({name: report_of(content) for name, content in reports.items()}).dump()


def test_figures_that_both_have_are_side_by_side() -> None:
    first, second = complete(), complete()
    bits = ["likelihood", "trained", "all_held_out", "bits_per_byte"]
    second["likelihood"]["trained"] = {"all_held_out": {"bits_per_byte": between(1.075)}}
    second["drift"]["en"] = {"share": {"value": 0.5}}
    compared = compared_reports({"old": first, "new": second})
    rows = {tuple(row["figure"]): row for row in compared["figures"]}
    old = first["likelihood"]["trained"]["all_held_out"]["bits_per_byte"]
    # 1.10 and 1.075, both with 0.01 to each side.
    assert rows[tuple(bits)] == {
        "figure": bits,
        "unit": "number",
        "values": {"old": old, "new": between(1.075)},
        "non_overlapping": {"new": True},
    }
    assert rows["tokens", "all_held_out", "saved"]["non_overlapping"] == {"new": False}
    assert rows["drift", "en", "share"]["non_overlapping"] == {}, "one of them has no interval"
    assert ("likelihood", "trained", "haber", "bits_per_byte") not in rows, "the second does not have it"
    assert compared["different"] == {"texts": [], "settings": [], "base": [], "device": []}


def test_what_was_not_measured_alike_is_named() -> None:
    first, second = complete(), complete()
    second["texts"]["held_out"]["masal"]["bytes"] += 1
    del second["texts"]["other"]["code"]
    second["settings"]["context"] = 7
    second["provenance"] = {
        "measured": {"base": {"place": "another", "tokenizer": "00"}},
        "files": {"list": "00"},
        "device": "a GPU",
        "dtype": "bfloat16",
    }
    different = compared_reports({"old": first, "new": second})["different"]
    assert different == {
        "texts": ["masal", "code", "list"],
        "settings": ["context"],
        "base": ["Qwen3-0.6B", "another"],
        "device": ["a CPU, 2 threads in float32", "a GPU in bfloat16"],
    }


def test_texts_of_one_size_are_told_apart_and_an_earlier_report_says_nothing_of_that() -> None:
    first, second, earlier = complete(), complete(), complete()
    second["texts"]["held_out"]["masal"]["sha256"] = "00"
    assert compared_reports({"old": first, "new": second})["different"]["texts"] == ["masal"]
    del earlier["texts"]["held_out"]["masal"]["sha256"], earlier["provenance"]
    different = compared_reports({"old": first, "new": earlier})["different"]
    assert not any(different.values())


def test_every_number_is_compared_in_its_unit() -> None:
    compared = compared_reports({name: complete() for name in ("old", "new")})
    rows = {tuple(row["figure"]): row for row in compared["figures"]}
    for path, unit, value in (
        ("tokens all_held_out base bytes_per_token", "number", 3.125),
        ("tokens all_held_out extended tokens", "amount", 1_000),
        ("tokens all_held_out floor saved", "share", 0.56),
        ("tokens speed extended", "amount", 10**6),
        ("tokens speed ratio", "quotient", 1.0),
        ("tokens new_tokens share_of_tokens", "share", 0.4),
        ("peers another all_held_out tokens_per_word", "number", 1.8),
        ("models trained parameters", "amount", 10**9),
        ("contamination masal runs", "share", 0.1),
        ("likelihood trained all_held_out perplexity", "number", 20.1),
        ("tasks sınav chance", "share", 0.25),
        ("inference generation trained", "amount", 120.0),
        ("inference generation gain", "share", 0.3),
        ("inference kv_cache base", "amount", 2_000.0),
        ("inference weights change", "share", 0.1),
        ("inference break_even_characters", "amount", 285_714.0),
        ("criteria final_loss", "number", 3.0),
    ):
        row = rows[tuple(path.split())]
        assert (row["unit"], row["values"]["new"]["value"]) == (unit, pytest.approx(value)), path
    assert rows["criteria", "fewer_tokens"]["values"]["new"] == between(0.375) | {"met": False}
    assert ("inference", "interleaved") not in rows, "yes or no is no figure"


def test_three_reports_are_compared_with_the_first() -> None:
    reports = {name: complete() for name in ("a", "b", "c")}
    reports["c"]["tokens"]["all_held_out"]["saved"] = between(0.5)
    rows = {tuple(row["figure"]): row for row in compared_reports(reports)["figures"]}
    assert rows["tokens", "all_held_out", "saved"]["non_overlapping"] == {"b": False, "c": True}


def test_a_table_marks_intervals_that_do_not_overlap_and_what_is_not_alike() -> None:
    first, second = complete(), complete()
    second["tokens"]["all_held_out"]["saved"] = between(0.5)
    second["settings"]["context"] = 7
    second["inference"]["generation"]["trained"] = 1_234.5
    stream = io.StringIO()
    table = reports_table(compare_reports({"old": report_of(first), "new": report_of(second)}))
    Console(file=stream, width=200, color_system=None).print(table)
    shown = " ".join(stream.getvalue().replace("\u00a0", " ").split())
    assert "all_held_out saved 37.5 % (36.5 to 38.5 %) 50.0 % (49.0 to 51.0 %) yes" in shown
    assert "speed ratio 1.00× (0.99 to 1.01) 1.00× (0.99 to 1.01) no" in shown
    assert "trained all_held_out bits_per_byte 1.10 (1.09 to 1.11)" in shown
    assert "all_held_out base bytes_per_token 3.12 3.12" in shown
    assert "generation trained 120 1,234" in shown
    assert "all_held_out bytes 5,000" not in shown and "counts the same in all reports" in shown
    assert "fewer_tokens 37.5 % (36.5 to 38.5 %), not met" in shown
    assert "Not the same in all reports: the settings context" in shown


@pytest.mark.parametrize("content", ['{"size": 3}', "[]", "{"])
def test_what_is_no_report_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(content, "utf-8")
    with pytest.raises(InputError, match=r"report\.json"):
        read_report(tmp_path)
    with pytest.raises(InputError, match=r"report\.json is missing"):
        read_report(tmp_path / "nowhere" / "report.json")


def test_a_report_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(complete() | {"format": 99}), "utf-8")
    with pytest.raises(InputError, match="format 99"):
        read_report(tmp_path)


def test_the_command_compares_reports_where_no_text_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = []
    for name, folder in (("one", "one"), ("run", "run/6-evaluation")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "report.json").write_text(json.dumps(complete()), "utf-8")
        places.append(str(tmp_path / name))
    assert main(["compare", *places, "--json", str(tmp_path / "all.json")]) == 0
    assert "bits_per_byte" in capsys.readouterr().out
    compared: dict[str, Any] = json.loads((tmp_path / "all.json").read_text("utf-8"))
    assert list(compared["figures"][0]["values"]) == ["one", "run"]
    assert main(["compare", places[0]]) == 2
    assert main(["compare", *places, "--changes"]) == 2
    assert main(["compare", places[0], str(tmp_path / "nowhere")]) == 2
    assert "--text" in capsys.readouterr().err


def test_a_report_of_ekle_0_1_is_compared_and_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("old", of_format_1(complete())), ("new", complete())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(content), "utf-8")
    out = tmp_path / "all.json"
    assert main(["compare", str(tmp_path / "old"), str(tmp_path / "new"), "--json", str(out)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "old") in line and "ekle 0.1 (format 1)" in line
    rows = json.loads(out.read_text("utf-8"))["figures"]
    assert {row["figure"][0] for row in rows} >= {"peers", "contamination", "preservation"}
    assert all(row["values"]["old"] == row["values"]["new"] for row in rows)
