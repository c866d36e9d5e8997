"""What `ekle status` says of a finished evaluation."""

from pathlib import Path

import pytest
from earlier_report import of_format_1
from partial_report import report_of

from ekle.errors import RenamedWarning
from ekle.files import write_json
from ekle.pipeline.run_folder import RunFolder
from ekle.pipeline.status import key_figures


def test_an_evaluation_is_told_by_tokens_and_bits_per_byte(tmp_path: Path) -> None:
    at = RunFolder(tmp_path)
    file = at.place("evaluation") / "report.json"
    assert key_figures("evaluation", at) == ""
    bits = {
        name: {"all_held_out": {"bits_per_byte": {"value": value}}}
        for name, value in (("base", 2.5), ("extended", 3.0), ("trained", 2.25))
    }
    tokens = {"all_held_out": {"saved": {"value": 0.351}}}
    file.parent.mkdir(parents=True)
    report_of({"tokens": tokens, "likelihood": bits}).write(file)
    assert key_figures("evaluation", at) == "-35.1 % tokens, 2.500 -> 2.250 bits per byte"
    report_of({}).write(file)
    assert key_figures("evaluation", at) == ""


def test_a_report_of_another_format_does_not_hide_the_other_stages(tmp_path: Path) -> None:
    at = RunFolder(tmp_path)
    write_json(at.place("evaluation") / "report.json", report_of({}).dump() | {"format": 99})
    assert key_figures("evaluation", at) == "a report that this ekle does not read"


def test_a_report_of_ekle_0_1_is_read(tmp_path: Path) -> None:
    at = RunFolder(tmp_path)
    tokens = {"all_held_out": {"saved": {"value": 0.351}}}
    write_json(at.place("evaluation") / "report.json", of_format_1(report_of({"tokens": tokens}).dump()))
    with pytest.warns(RenamedWarning, match=r"format 1"):
        assert key_figures("evaluation", at) == "-35.1 % tokens"
