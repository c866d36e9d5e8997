"""The benchmark for a GPU runs on a CPU, too, with a small model."""

import sys

import pytest

from benchmarks.steps import throughput


def test_ekle_and_peft_are_timed_on_a_small_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["throughput", "--shape", "tiny", "--steps", "1", "--recipes", throughput.GUIDE]
    monkeypatch.setattr(sys, "argv", words)
    throughput.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    ours, theirs = rows[1:]
    assert ours[1].strip() == f"ekle, {throughput.GUIDE}"
    assert theirs[1].strip() == throughput.PEFT
    for row in (ours, theirs):
        assert int(row[2]) == 2
        assert float(row[3].replace(",", "")) > 0


def test_a_row_that_does_not_fit_is_tried_again_without_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(kind: str, options: object) -> throughput.Figures:
        limited = vars(options)["limit"] != "none" and kind == throughput.PEFT
        return throughput.Figures(not limited, 1, 100.0, 0.4, 10**9, 10**9)

    monkeypatch.setattr(throughput, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["throughput", "--shape", "tiny", "--recipes", throughput.GUIDE])
    throughput.main()
    shown = capsys.readouterr().out
    assert f"| {throughput.PEFT} | 1 | out of memory | | | | | 40GB |" in shown
    assert f"| {throughput.PEFT} | 1 | 100 | 40.0% | 1.00 | 1.00 |  | none |" in shown
    assert f"| ekle, {throughput.GUIDE} | 1 | 100 | 40.0% | 1.00 | 1.00 |  | 40GB |" in shown
